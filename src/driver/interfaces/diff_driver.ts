// SPDX-License-Identifier: Apache-2.0
/**
 * What differs between two layers: as a list, as a tar, and as a tar to be applied.
 *
 * `naive_diff.ts` makes all of it out of any {@link ProtoDriver}, by comparing whole trees; a driver that knows what a
 * layer changed need not.
 *
 * @module
 */
import type { DroppedAttribute } from "../../core/dropped_attribute.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerPath } from "../../core/layer_path.ts";
import type { Change, Changeset } from "../../changeset/change.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerLocation } from "./layer_sealer.ts";
import type { Awaitable } from "./proto_driver.ts";

/** What is applied to a layer: a layer's uncompressed tar, or what unpacking and settling have made of one. */
export type Diff =
  | { readonly kind: "tar"; readonly stream: ReadableStream<Uint8Array> }
  | { readonly kind: "unpacked"; readonly changeset: Changeset; readonly tree: RootedDir };

/** How a diff is made. */
export interface DiffOptions {
  /** SELinux label of the mounts that it takes. */
  readonly mountLabel?: string;
  /** Aborting ends the stream with `ABORTED`. */
  readonly signal?: AbortSignal;
  /** Told of all that the tar does not hold: sockets, and names that layers keep for whiteouts. */
  readonly onSkip?: (skipped: DroppedAttribute) => void;
}

/** How a diff is applied. */
export interface ApplyOptions {
  /** SELinux label of the mount that it takes. */
  readonly mountLabel?: string;
  /** Aborting changes nothing; once the tar is unpacked, it is applied to its end. */
  readonly signal?: AbortSignal;
}

/** Compares layers and applies what differs. */
export interface DiffDriver {
  /**
   * What a layer changes of another, sorted bytewise by path. Without a parent all is an addition.
   * @throws {StrataError} `NOT_FOUND`
   */
  changes(id: CacheId, parent: CacheId | undefined): Awaitable<Change[]>;
  /** The same as a layer's tar, whiteouts included. Cancelling the stream ends the work and unmounts. */
  diff(id: CacheId, parent: CacheId | undefined, options?: DiffOptions): ReadableStream<Uint8Array>;
  /**
   * Applies a diff to a layer, whose tree is that of `parent` with what it holds already. Whiteouts act on what was there
   * before, wherever they stand in the tar.
   * @returns the bytes that it brought, as Docker counts them for this driver
   * @throws {StrataError} `NOT_FOUND`; for a bad tar `INVALID_ARCHIVE` or `LIMIT_EXCEEDED`, and the layer is unchanged
   */
  applyDiff(id: CacheId, parent: CacheId | undefined, diff: Diff, options?: ApplyOptions): Promise<number>;
  /** Bytes of the added and changed files, hard links once. */
  diffSize(id: CacheId, parent: CacheId | undefined): Awaitable<number>;
}

/** The files that a layer brought, open for reading. Dispose of it with `await using`. */
export interface DiffGetter extends Disposable {
  /**
   * A regular file's content, by the name that the layer's tar has for it. A name that leads through a symlink of a
   * layer below is looked up in the merged tree.
   * @throws {OsError} `ENOENT` when there is none, or a {@link StrataError} `NOT_FOUND`
   */
  openRead(path: LayerPath): OpenFile;
  /**
   * A path that the layer's own tree has and none of its archive's members made; `undefined` when there is none. Absent for
   * layers that only this package fills.
   */
  findStray?(members: ReadonlySet<LayerPath>): LayerPath | undefined;
}

/** Gives the contents that a tar-split refers to. */
export interface DiffGetterDriver {
  /**
   * The files that the topmost layer of a stack brought, without a mount where the driver can.
   * @throws {StrataError} `NOT_FOUND`
   */
  diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): Awaitable<DiffGetter>;
}
