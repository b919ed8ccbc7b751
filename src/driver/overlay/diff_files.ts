// SPDX-License-Identifier: Apache-2.0
/**
 * The files that one overlay layer brought, read in its own directory. No mount is needed.
 *
 * @module
 */
import type { LayerPath } from "../../core/layer_path.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { isOsError } from "../../host/errno.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { DiffGetter } from "../interfaces/diff_driver.ts";

/** A layer's own directory, and the merged tree for names that lead through symlinks of layers below. */
export class OverlayFiles implements DiffGetter {
  readonly #own: RootedDir;
  readonly #openMerged: () => TreeView;
  #merged: TreeView | undefined;

  /** Takes the layer's directory over. The merged tree is opened when it is first needed: as a rule never. */
  constructor(own: RootedDir, openMerged: () => TreeView) {
    this.#own = own;
    this.#openMerged = openMerged;
  }

  /** See {@link DiffGetter.openRead}. */
  openRead(path: LayerPath): OpenFile {
    try {
      return this.#own.openRead(path);
    } catch (error) {
      if (!isOsError(error, "ENOENT", "ENOTDIR")) throw error;
      this.#merged ??= this.#openMerged();
      return this.#merged.openRead(path);
    }
  }

  /** Gives the handles back. */
  [Symbol.dispose](): void {
    this.#own.close();
    this.#merged?.[Symbol.dispose]();
  }
}
