// SPDX-License-Identifier: Apache-2.0
/**
 * The view of a tree that lies whole in one directory: a layer of the vfs driver, or a mounted stack. The kernel
 * resolves paths, confined to that directory.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { FileStat } from "../core/file_stat.ts";
import type { LayerPath } from "../core/layer_path.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { DirEntry } from "../host/rooted_dir.ts";
import type { LayerDir } from "./mapped_dir.ts";
import { resolvePath } from "./resolve.ts";
import type { TreeView } from "./tree_view.ts";

/** A tree as one directory shows it. It owns that directory's handle. Failures of the system come as `OsError`. */
export class PlainView implements TreeView {
  readonly #root: LayerDir;

  /** Takes over the handle. */
  constructor(root: LayerDir) {
    this.#root = root;
  }

  /** See {@link TreeView.stat}. */
  stat(path: LayerPath): FileStat | undefined {
    return this.#root.stat(path);
  }

  /** See {@link TreeView.list}. */
  list(path: LayerPath): readonly DirEntry[] {
    return this.#root.list(path);
  }

  /** See {@link TreeView.readlink}. */
  readlink(path: LayerPath): ByteString {
    return this.#root.readlink(path);
  }

  /** See {@link TreeView.openRead}. */
  openRead(path: LayerPath): OpenFile {
    return this.#root.openRead(path);
  }

  /** See {@link TreeView.openReadFollowing}. */
  openReadFollowing(path: LayerPath): OpenFile {
    return this.#root.openReadFollowing(path);
  }

  /** See {@link TreeView.xattrs}. */
  xattrs(path: LayerPath): ReadonlyMap<ByteString, Uint8Array> {
    return this.#root.xattrs(path);
  }

  /**
   * See {@link TreeView.resolve}.
   * @throws {StrataError} `INVALID_ARCHIVE` for a loop of symlinks
   */
  resolve(path: LayerPath): LayerPath {
    return resolvePath(path, (at) => this.#root.stat(at)?.type === "symlink" ? this.#root.readlink(at) : undefined);
  }

  /** Gives the handle back. */
  [Symbol.dispose](): void {
    this.#root[Symbol.dispose]();
  }
}
