// SPDX-License-Identifier: Apache-2.0
/**
 * Reading a container's tree without mounting it.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { FileStat } from "../core/file_stat.ts";
import type { LayerPath } from "../core/layer_path.ts";
import type { DirEntry } from "../host/rooted_dir.ts";
import type { OpenFile } from "../host/open_file.ts";

/**
 * A merged tree, read only. Symlinks in the parents of a path are followed inside the tree, the last component never.
 * Paths that do not exist, or lead through something that is no directory, do not exist: they are not errors for `stat`.
 */
export interface TreeView extends Disposable {
  /** What lies at the path; `undefined` when nothing does. */
  stat(path: LayerPath): FileStat | undefined;
  /** The names in a directory, sorted bytewise. */
  list(path: LayerPath): readonly DirEntry[];
  /** The text of a symlink. */
  readlink(path: LayerPath): ByteString;
  /** A regular file's content. */
  openRead(path: LayerPath): OpenFile;
  /** Like {@link openRead}, a symlink at the end followed as well. */
  openReadFollowing(path: LayerPath): OpenFile;
  /** All extended attributes but the driver's own. */
  xattrs(path: LayerPath): ReadonlyMap<ByteString, Uint8Array>;
  /**
   * The path with every symlink followed inside the tree, the last one too. Components that do not exist are kept, as
   * a chroot would on creating them.
   */
  resolve(path: LayerPath): LayerPath;
}
