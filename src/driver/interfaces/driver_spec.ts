// SPDX-License-Identifier: Apache-2.0
/**
 * What it takes to open a driver, and what it then can do.
 *
 * @module
 */
import type { IdMappings } from "../../core/id_map.ts";
import type { Ownership } from "../../changeset/change.ts";

/** All it takes to open a driver; plain data, since threads open it again. */
export interface DriverSpec {
  /** The name it is registered under. */
  readonly name: string;
  /** The driver's own directory, `<root>/<name>`. */
  readonly home: string;
  /** `key=value` pairs given by the user. */
  readonly options: Readonly<Record<string, string>>;
  /**
   * Under which ids layers are kept: all that is unpacked belongs to mapped owners, while views, changes and archives tell
   * of the archives' own. A home belongs to one map. Absent: the archives' ids are kept.
   */
  readonly idMappings?: IdMappings;
  /** What a home of another tool's driver is that is only read. Absent: the home is this package's or Docker's. */
  readonly outside?: OutsideHome;
  /**
   * The home is another store's, which is only read: nothing is made in it, and no layer is read out of other directories
   * than these, wherever a symlink leads. Absolute paths without symlinks. Absent: the home is the store's own.
   */
  readonly within?: readonly string[];
  /** URL of the module that a thread registers it from; absent for the drivers of this package. */
  readonly module?: string;
}

/** What the records of another tool, containers/storage, say of the layers in a driver's home. */
export interface OutsideHome {
  /** Homes of the same driver in which stacks may go on, absolute. */
  readonly furtherHomes: readonly string[];
  /** By layer, the maps under which it is kept; those without an entry are kept under their archives' ids. */
  readonly idMappings: Readonly<Record<string, IdMappings>>;
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
  /**
   * Whether `diff` of a layer gives the very tar that was applied to it. `no` for every driver that keeps trees: of
   * those the store rebuilds the tar from its tar-split.
   */
  readonly reproducesExactDiffs: "yes" | "no";
  /** Bytes of the longest name of a layer below that a writable layer can remove. Absent: as many as a name can have. */
  readonly removableNameBytesMax?: number;
  /** `filled`: a sparse file of a layer below loses its holes when a writable layer changes it. Absent: it keeps them. */
  readonly holes?: "filled";
  /**
   * Whether the home has layers from when they are sealed: under their own names (`in place`), or under others, so that
   * they appear in one step (`by renaming`). Absent: from when they are published.
   */
  readonly publishing?: "in place" | "by renaming";
}
