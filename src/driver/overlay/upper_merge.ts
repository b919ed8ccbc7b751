// SPDX-License-Identifier: Apache-2.0
/**
 * Putting a settled diff into a layer's own files without a mount, be there files already or none.
 *
 * What the diff hides of the layer's own files is removed; what it hides of the layers below gets marks, so far as it shows
 * through the layer's own. A directory of the diff whose place in the layer hides what is below goes on hiding it.
 *
 * @module
 */
import type { ByteString } from "../../core/bytes.ts";
import { fromText } from "../../core/bytes.ts";
import { ancestorsOf, baseOf, joinPath, type LayerPath, parentOf, ROOT } from "../../core/layer_path.ts";
import type { Changeset, Ownership } from "../../changeset/change.ts";
import { mergeChangeset } from "../../changeset/merge.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import type { WhiteoutDialect } from "../../changeset/stacked_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { addForm, hasForm, openDiff } from "./layer_form.ts";
import { type MarkSpace, type Mounter, overlayDialect, writeWhiteouts } from "./whiteouts.ts";

/** A diff, and the layer that it changes. */
export interface UpperMerge {
  /** The layer's directory. Nobody looks at the layer meanwhile. */
  readonly dir: string;
  readonly ownership: Ownership;
  /** Settled on the layer and those below. */
  readonly changeset: Changeset;
  /** The tree that goes with it; it is used up. */
  readonly tree: RootedDir;
  /** What the layers below show together; absent: none is there. */
  readonly below: TreeView | undefined;
  readonly marks: MarkSpace;
  readonly mounter: Mounter;
}

/**
 * Changes the layer's own files.
 * @throws {StrataError} what the system reports; the layer is then half changed
 */
export function mergeIntoUpper(request: UpperMerge): void {
  const { dir, ownership, changeset, tree, below, marks, mounter } = request;
  using into = openOwnedTree(`${dir}/diff`, ownership);
  using shown = openDiff(dir);
  const upper = new Upper(shown, overlayDialect(marks));
  const { cut, shared } = upper.compare(tree);
  if (below !== undefined) {
    const hidden = { whiteouts: changeset.whiteouts, opaques: [...changeset.opaques, ...cut] };
    const readableBy = writeWhiteouts({ tree, changeset: hidden, below: upper.showing(below), marks, mounter });
    if (readableBy === "program") addForm(dir, "program");
  }
  // A mount program would hide the diff's objects by what says that there are none.
  if (hasForm(dir, "program")) { for (const path of shared) into.removeTree(markerOf(path)); }
  mergeChangeset({ changeset, tree, into });
}

/** A layer's own files, in the kernel's form. */
class Upper {
  readonly #shown: RootedDir;
  readonly #dialect: WhiteoutDialect;

  constructor(shown: RootedDir, dialect: WhiteoutDialect) {
    this.#shown = shown;
    this.#dialect = dialect;
  }

  /** Of a diff's tree: directories whose place in the layer hides what is below, and all that lies in shared directories. */
  compare(tree: RootedDir): { readonly cut: readonly LayerPath[]; readonly shared: readonly LayerPath[] } {
    const cut: LayerPath[] = [];
    const shared: LayerPath[] = [];
    const pending = [ROOT];
    for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
      for (const { name } of tree.list(dir)) {
        const path = joinPath(dir, name);
        shared.push(path);
        if (tree.stat(path)?.type !== "dir") continue;
        if (this.#hidesBelow(path)) cut.push(path);
        if (this.#shown.stat(path)?.type === "dir") pending.push(path);
      }
    }
    return { cut, shared };
  }

  /** What of the layers below would show if the layer had nothing at a path itself. */
  showing(below: TreeView): Pick<TreeView, "list" | "resolve" | "stat"> {
    return {
      list: (path) => below.list(path),
      resolve: (path) => below.resolve(path),
      stat: (path) => ancestorsOf(path).some((dir) => this.#hidesBelow(dir)) ? undefined : below.stat(path),
    };
  }

  /** Whether nothing of the layers below shows in a place: it is opaque, a whiteout, or no directory. */
  #hidesBelow(path: LayerPath): boolean {
    if (path === ROOT) return false;
    const stat = this.#shown.stat(path);
    return stat !== undefined && (stat.type !== "dir" || this.#dialect.isOpaque(this.#shown, path));
  }
}

/** The file by which a mount program hides a name. */
function markerOf(path: LayerPath): LayerPath {
  return joinPath(parentOf(path), fromText(WHITEOUT_PREFIX) + baseOf(path) as ByteString);
}
