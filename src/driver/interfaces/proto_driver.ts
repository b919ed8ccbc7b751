// SPDX-License-Identifier: Apache-2.0
/**
 * The least that a driver does: keeps trees by their ids, each beginning as the tree of its parent, and gives them as
 * paths. All else can be made of this: see `complete_driver.ts`.
 *
 * The words are those of graph drivers (Docker, containers/storage): `get` mounts and `put` unmounts.
 *
 * @module
 */
import type { IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { DriverCapabilities, DriverSpec } from "./driver_spec.ts";

/** A value now or later: drivers that need not wait do not, and callers always `await`. */
export type Awaitable<T> = T | Promise<T>;

/** How a layer is made. */
export interface CreateOptions {
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /** `key=value` pairs, such as `size`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** Under which ids the layer's own files are kept. Absent: as those of its parent, else as the driver's. */
  readonly idMappings?: IdMappings;
  /** Called before every object that has to be copied. What it throws ends the making, and nothing is left. */
  readonly onEntry?: () => void;
}

/** How a layer is made as the copy of another. */
export interface TemplateOptions extends CreateOptions {
  /** The layer whose own files are copied. */
  readonly template: CacheId;
  /** What the copy lies on: the template's parent, or a layer of the same content. */
  readonly parent: CacheId | undefined;
  /** Whether the copy is to be written to by users, or is a layer. */
  readonly access: "writable" | "read-only";
}

/** How a layer is mounted. */
export interface GetOptions {
  /** SELinux label of the mount. */
  readonly mountLabel?: string;
  /** Absent: writable when the layer is. */
  readonly access?: "read-only";
  /**
   * The ids under which the tree is shown; layers that are kept under their archives' ids are mapped. A writable layer is kept
   * under them from then on. Absent: as the layer is kept.
   */
  readonly idMappings?: IdMappings;
  /** Further mount options, as given by the user. */
  readonly mountOptions?: readonly string[];
}

/** A layer's tree as users reach it. */
export interface LayerTree {
  /** Absolute path. */
  readonly path: string;
  /** Whether the path is a mount point, or simply the layer's own directory. */
  readonly kind: "mount" | "directory";
}

/** A layer's directory that a home has. */
export interface FoundLayer {
  /** Its name. */
  readonly cacheId: CacheId;
  /** When it was made or last changed by the driver. Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** What a layer occupies by itself. */
export interface DiskUsage {
  /** Bytes of all that is no directory, hard links once: what {@link DiffDriver.diffSize} counts. */
  readonly bytes: number;
  /** Objects, directories included, each once however many names it has. */
  readonly inodes: number;
}

/** A line of `info`. */
export type StatusRow = readonly [name: string, value: string];

/** Keeps trees by their ids. */
export interface ProtoDriver {
  /** What it was opened from. */
  readonly spec: DriverSpec;
  /** What it can do here. */
  readonly capabilities: DriverCapabilities;

  /**
   * Makes a layer whose tree is that of `parent`, for a diff to be applied to: until it is a parent itself, or this
   * method's caller is done, {@link ProtoDriver.get} gives it writable.
   * @throws {StrataError} `CONFLICT` when the id is taken, `NOT_FOUND` for the parent
   */
  create(id: CacheId, parent: CacheId | undefined, options?: CreateOptions): Awaitable<void>;
  /**
   * Makes a writable layer on `parent`.
   * @throws {StrataError} as {@link ProtoDriver.create}; `NOT_SUPPORTED` or `INVALID_ARGUMENT` for a storage option
   */
  createReadWrite(id: CacheId, parent: CacheId | undefined, options?: CreateOptions): Awaitable<void>;
  /**
   * Makes a layer with the content of another.
   * @throws {StrataError} as {@link ProtoDriver.create}; `NOT_FOUND` for the template
   */
  createFromTemplate(id: CacheId, options: TemplateOptions): Awaitable<void>;
  /** Removes a layer, mounts below it first. Absence is no error. */
  remove(id: CacheId): Promise<void>;

  /** Where {@link ProtoDriver.get} gives the layer's tree. */
  treeOf(id: CacheId, access: "writable" | "read-only"): LayerTree;
  /**
   * Mounts the layer and gives the path of its tree. Mounting what is mounted gives the same path, and the mount stays as it
   * is.
   * @throws {StrataError} `NOT_FOUND`; `IN_USE` when it is to be written to and is mounted for reading
   */
  get(id: CacheId, options?: GetOptions): Promise<string>;
  /** Unmounts the layer; nothing happens when it is not mounted. */
  put(id: CacheId): Promise<void>;

  /** Whether the layer exists. */
  exists(id: CacheId): boolean;
  /** The layers that the home has, read-only and writable, in the order of their names. */
  list(): readonly FoundLayer[];
  /** Lines for `info`. */
  status(): readonly StatusRow[];
  /** Paths that users and Docker ask for, such as `UpperDir`. */
  metadata(id: CacheId): Readonly<Record<string, string>>;
  /** What a layer occupies beside the layers below it: of one whose files lie in another store, nothing. */
  readWriteDiskUsage(id: CacheId): Awaitable<DiskUsage>;
  /** Unmounts all that is mounted below the home. */
  cleanup(): Promise<void>;
  /** Roots of further stores that layers are read from; none for drivers that have no such option. */
  additionalImageStores(): readonly string[];
}
