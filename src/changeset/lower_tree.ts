// SPDX-License-Identifier: Apache-2.0
/**
 * Trees as a settled layer's paths see them: each path exactly as written, no symlink followed on the way; and of the
 * tree below only what the layer's whiteouts do not hide.
 *
 * @module
 */
import type { FileStat } from "../core/file_stat.ts";
import { type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import type { Changeset } from "./change.ts";
import type { TreeView } from "./tree_view.ts";

/** A tree in which a path that leads through a symlink leads nowhere. Learns of directories, so the tree must not lose any. */
export class ExactTree {
  readonly #source: Pick<TreeView, "stat">;
  readonly #isDir = new Map<LayerPath, boolean>();

  /** Looks at `source`, which stays the caller's. */
  constructor(source: Pick<TreeView, "stat">) {
    this.#source = source;
  }

  /** What is there; `undefined` when nothing is. */
  stat(path: LayerPath): FileStat | undefined {
    return path === ROOT || this.hasDir(parentOf(path)) ? this.#source.stat(path) : undefined;
  }

  /** Whether a directory is there. */
  hasDir(path: LayerPath): boolean {
    let isDir = this.#isDir.get(path);
    if (isDir === undefined) {
      isDir = this.stat(path)?.type === "dir";
      this.#isDir.set(path, isDir);
    }
    return isDir;
  }
}

/** The tree below one layer. */
export class LowerTree {
  /** All of it, hidden or not. */
  readonly whole: ExactTree;
  readonly #whiteouts: ReadonlySet<LayerPath>;
  readonly #opaques: ReadonlySet<LayerPath>;
  readonly #hidesInside = new Map<LayerPath, boolean>();

  /** Looks through `view`, which stays the caller's. */
  constructor(view: TreeView, hidden: Pick<Changeset, "whiteouts" | "opaques">) {
    this.whole = new ExactTree(view);
    this.#whiteouts = new Set(hidden.whiteouts);
    this.#opaques = new Set(hidden.opaques);
  }

  /** What shows at the path if the layer has nothing there itself. */
  visible(path: LayerPath): FileStat | undefined {
    return this.isHidden(path) ? undefined : this.whole.stat(path);
  }

  /** Whether a whiteout or an opaque directory of the layer hides what is below at the path. */
  isHidden(path: LayerPath): boolean {
    return path !== ROOT && (this.#whiteouts.has(path) || this.hidesInside(parentOf(path)));
  }

  /** Whether the layer hides everything that is below inside a directory. */
  hidesInside(dir: LayerPath): boolean {
    let hides = this.#hidesInside.get(dir);
    if (hides === undefined) {
      hides = this.#opaques.has(dir) || this.isHidden(dir);
      this.#hidesInside.set(dir, hides);
    }
    return hides;
  }
}
