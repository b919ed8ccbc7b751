// SPDX-License-Identifier: Apache-2.0
/**
 * What a driver is: a directory layout, a dialect for whiteouts, and mount options. All else is shared, above or below.
 *
 * A driver knows directories named by {@link CacheId}; it knows no digests and no records. Sealing is synchronous and
 * may run in a worker, so a driver can be opened again from its {@link DriverSpec} in another thread.
 *
 * @module
 */
import type { CacheId } from "../core/ids.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Change, Changeset, Ownership } from "../changeset/change.ts";
import type { TreeView } from "../changeset/tree_view.ts";

/** All it takes to open a driver; plain data. */
export interface DriverSpec {
  /** The name it is registered under. */
  readonly name: string;
  /** The driver's own directory, `<root>/<name>`. */
  readonly home: string;
  /** `key=value` pairs given by the user. */
  readonly options: Readonly<Record<string, string>>;
}

/** What this driver can do on this kernel and file system. */
export interface DriverCapabilities {
  /** Whether `get` can mount a writable view here, and if not, why not. */
  readonly mounts: "yes" | "no";
  /** Whether a layer got read-only cannot be written through the path that `get` gives, or must not be. */
  readonly readOnlyMounts: "enforced" | "trusted";
  /** Layers below a mount. */
  readonly lowersMax: number;
  /** Who owns unpacked files. */
  readonly ownership: Ownership;
  /** Whether copies share blocks on this file system. */
  readonly reflink: "yes" | "no";
}

/** A layer's directory, in the driver's home or still staged. */
export interface LayerLocation {
  /** Its name inside the driver. */
  readonly cacheId: CacheId;
  /** Absolute path. */
  readonly dir: string;
}

/** A layer unpacked by itself, to be given the driver's form. */
export interface SealRequest {
  /** Holds the bare tree as `tree/`; receives the layer's directory as `layer/`. One file system with the home. */
  readonly staging: string;
  /** The layer's name inside the driver. */
  readonly cacheId: CacheId;
  /** What the tree does not say, settled on the parents. */
  readonly changeset: Changeset;
  /** The stack below, top first; empty for a base layer. */
  readonly parents: readonly LayerLocation[];
  /** Layers that lie directly upon this one already, since it is made again: they must find it as they know it. */
  readonly children?: readonly CacheId[];
}

/** A layer in the driver's form, not yet in the driver's home. */
export interface SealedLayer extends LayerLocation {
  /** Bytes that Docker's driver would state for the layer. */
  readonly sizeBytes: number;
}

/** How a writable layer is made. */
export interface CreateOptions {
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /** `key=value` pairs, such as `size`. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** Called before every object that has to be copied. What it throws ends the making, and nothing is left. */
  readonly onEntry?: () => void;
}

/** How a layer is mounted. */
export interface GetOptions {
  /** SELinux label of the mount. */
  readonly mountLabel?: string;
  /** Absent: writable when the layer is. */
  readonly access?: "read-only";
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

/** Something in a driver's home that belongs to no layer: what crashes leave. */
export interface Debris {
  /** Absolute path. */
  readonly path: string;
  /** What it is, for people. */
  readonly what: string;
  /** When it was last changed. Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Whether a running process may be using it for a moment: then only its age tells. */
  readonly use: "none" | "momentary";
}

/** Something about a layer's directory that is not as it must be. */
export interface LayerFault {
  /** The file at fault. */
  readonly path: string;
  /** Continues "the file …". */
  readonly problem: string;
  /** Whether {@link Driver.mend} can put it right; what is lost, only registering the layer again can. */
  readonly mending: "possible" | "impossible";
}

/** A line of `info`. */
export type StatusRow = readonly [name: string, value: string];

/** Keeps layer directories and mounts stacks of them. */
export interface Driver {
  /** What it was opened from. */
  readonly spec: DriverSpec;
  /** What it can do here. */
  readonly capabilities: DriverCapabilities;

  /** Where a layer's directory is, whether or not it exists. */
  locate(id: CacheId): LayerLocation;
  /** Whether the layer's directory exists. */
  exists(id: CacheId): boolean;
  /** The stack below a layer, top first, as the driver's own files tell it; for drivers without such files, none. */
  parentsOf(id: CacheId): readonly LayerLocation[];

  /**
   * Gives an unpacked layer the driver's form. Synchronous: it runs where the layer was unpacked.
   * @throws {StrataError} `INVALID_ARCHIVE` when the layer does not fit the layers below
   */
  seal(request: SealRequest): SealedLayer;
  /**
   * Puts a sealed layer on another stack of the same content: another process has published the parents meanwhile. Only
   * before {@link Driver.publish}.
   */
  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): void;
  /**
   * Moves a sealed layer into the home. It is durable once the layer's own file system was synced and
   * {@link Driver.syncHome} has returned. Data without a record is garbage (I1).
   * @throws {StrataError} `CONFLICT` when the home has a layer of this id
   */
  publish(sealed: SealedLayer): void;
  /**
   * As {@link Driver.publish}, in the place of a layer of the same id and content, which is damaged or gone. What was there
   * comes to lie where the sealed layer was; there is no moment without a layer. Layers above stay valid.
   */
  replace(sealed: SealedLayer): void;
  /** Makes durable which layers the home has; once for all layers that were published. */
  syncHome(): void;

  /** The merged tree of a stack (top first), without a mount. */
  view(stack: readonly LayerLocation[]): TreeView;
  /** The files that one layer brought, for reading bodies; of a driver that keeps whole trees, the whole tree. */
  openTree(location: LayerLocation): RootedDir;

  /** Makes a writable layer on `parent`. */
  createReadWrite(id: CacheId, parent: CacheId | undefined, options?: CreateOptions): void;
  /** Where {@link Driver.get} gives the layer's tree. */
  treeOf(id: CacheId, access: "writable" | "read-only"): LayerTree;
  /** Mounts the layer and gives the path of its tree. Mounting what is mounted gives the same path. */
  get(id: CacheId, options?: GetOptions): Promise<string>;
  /** Unmounts the layer; nothing happens when it is not mounted. */
  put(id: CacheId): Promise<void>;
  /** What a layer changes of its parent. */
  changes(id: CacheId, parent: CacheId | undefined): Change[];
  /** Removes a layer's directory, mounts below it first. Absence is no error. */
  remove(id: CacheId): Promise<void>;

  /** The directories of layers that the home has, read-only and writable, in the order of their names. */
  list(): readonly FoundLayer[];
  /** Directories that a layer's own files refer to, as far as they can be told even when it is damaged. */
  needsOf(id: CacheId): readonly CacheId[];
  /** Where trees that show this layer's own directory are mounted, for reading or below a writable layer. */
  mountsOver(id: CacheId): readonly string[];
  /** What is in the home and no layer's. */
  debris(): readonly Debris[];
  /** Removes what {@link Driver.debris} found. Absence is no error. */
  removeDebris(debris: Debris): Promise<void>;
  /**
   * Looks whether a layer's directory is whole, without reading its files.
   * @param parents the stack that lies below by the records, top first
   */
  check(id: CacheId, parents: readonly LayerLocation[]): readonly LayerFault[];
  /** Puts right what {@link Driver.check} found to be mendable. Of a stack, the lowest layer comes first. */
  mend(id: CacheId, parents: readonly LayerLocation[]): void;

  /** Paths that users and Docker ask for, such as `UpperDir`. */
  metadata(id: CacheId): Readonly<Record<string, string>>;
  /** Lines for `info`. */
  status(): readonly StatusRow[];
  /** Unmounts all that is mounted below the home. */
  cleanup(): Promise<void>;
}

/** A layer in the driver's home and the stack below it, top first. */
export function stackOf(driver: Driver, id: CacheId): [LayerLocation, ...LayerLocation[]] {
  return [driver.locate(id), ...driver.parentsOf(id)];
}
