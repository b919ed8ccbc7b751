// SPDX-License-Identifier: Apache-2.0
/**
 * What one layer does to the layers below it: as a list of changes between two trees, and as the outcome of unpacking.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import type { LayerPath } from "../core/layer_path.ts";

/** Docker's three kinds, printed as `A`, `C` and `D`. */
export type ChangeKind = "add" | "modify" | "delete";

/** One path that differs between a tree and the tree below it. */
export interface Change {
  /** Relative to the tree's root, which is the empty path. */
  readonly path: LayerPath;
  /** What happened to it. */
  readonly kind: ChangeKind;
}

/** A hard link whose target this layer does not have: it must be in the layers below. */
export interface PendingLink {
  /** The name to be made. */
  readonly path: LayerPath;
  /** The file below that it is to name. */
  readonly target: LayerPath;
}

/** Content of a file record that the tree cannot give back, since a later member took its place. */
export interface LostContent {
  /** Position among the archive's members, counted from 0. */
  readonly entryIndex: number;
  /** Name under the displaced directory where the content was kept. */
  readonly keptAs: LayerPath;
}

/**
 * The outcome of unpacking one layer by itself: a bare tree, and what that tree cannot express. Plain data, since it
 * crosses from the worker that unpacks to the one that seals.
 *
 * Nothing in it depends on the order of the archive's whiteouts: they touch lower layers only, wherever they stand.
 */
export interface Changeset {
  /** Paths that the layers below lose. The tree may hold a new object at the same path. */
  readonly whiteouts: readonly LayerPath[];
  /** Directories of which nothing shows from below. */
  readonly opaques: readonly LayerPath[];
  /** Directories of the tree that have no member of their own: their metadata comes from below. May hold the root. */
  readonly impliedDirs: readonly LayerPath[];
  /**
   * Every path that was, at some time, entered as a directory without this layer having made it: the premises under
   * which the layer could be unpacked without looking below. Where the tree below has a symlink there, they fail.
   */
  readonly enteredDirs: readonly LayerPath[];
  /** Hard links to files below. */
  readonly pendingLinks: readonly PendingLink[];
  /** Contents that the tree does not show under their members' names. */
  readonly lost: readonly LostContent[];
  /** The first ones; {@link droppedCount} counts all. */
  readonly dropped: readonly DroppedAttribute[];
  /** Attributes that were left out, the listed ones among them. */
  readonly droppedCount: number;
  /** Sum of the members' sizes, as Docker counts a layer applied to a plain directory. Bytes. */
  readonly sizeBytes: number;
  /** Bytes of what the tree holds, directories left out and each object counted once. Absent: nobody has counted. */
  readonly treeBytes?: number | undefined;
  /** Members of the archive. */
  readonly entryCount: number;
}

/** Symlinks of the tree below that lie in the way of an archive's members, each with its text. */
export type Redirects = ReadonlyMap<LayerPath, ByteString>;

/**
 * Whose files the tree's files are, and what goes with it:
 *
 * - `archive`: the archive's owners.
 * - `archive-without-devices`: the same, but devices are left out, as in a user namespace.
 * - `archive-where-possible`: devices are left out, and so are owners that cannot be set; root takes their place.
 * - `recorded`: this process for all, but attributes tell owner, mode and type of every object (`override_dir.ts`).
 * - `self`: without privilege, this process for all.
 */
export type Ownership = "archive" | "recorded" | "archive-without-devices" | "archive-where-possible" | "self";
