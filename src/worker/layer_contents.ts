// SPDX-License-Identifier: Apache-2.0
/**
 * Where the contents of a layer's files are read when its archive is rebuilt: in the layer's own tree, and only for
 * names that lead through a symlink of a lower layer, in the merged tree. No mount is needed.
 *
 * @module
 */
import { parseLayerPath } from "../core/layer_path.ts";
import type { TreeView } from "../changeset/tree_view.ts";
import type { OpenFile } from "../host/open_file.ts";
import { readChunks } from "../host/read_chunks.ts";
import { isOsError } from "../host/errno.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { ContentSource } from "../tarsplit/assemble.ts";
import type { FileRecord } from "../tarsplit/record.ts";

/** Contents of one layer's files. Owns what it opens. */
export class LayerContents implements ContentSource, Disposable {
  readonly #own: RootedDir;
  readonly #openMerged: () => TreeView;
  #merged: TreeView | undefined;

  constructor(own: RootedDir, openMerged: () => TreeView) {
    this.#own = own;
    this.#openMerged = openMerged;
  }

  /**
   * The content of a recorded file.
   * @throws {OsError} when no tree has a regular file of that name
   */
  open(record: FileRecord): Iterable<Uint8Array> {
    return readChunks(this.#openFile(record));
  }

  [Symbol.dispose](): void {
    this.#own.close();
    this.#merged?.[Symbol.dispose]();
  }

  #openFile(record: FileRecord): OpenFile {
    const path = parseLayerPath(record.name);
    try {
      return this.#own.openRead(path);
    } catch (error) {
      if (!isOsError(error, "ENOENT", "ENOTDIR")) throw error;
      this.#merged ??= this.#openMerged();
      return this.#merged.openRead(path);
    }
  }
}
