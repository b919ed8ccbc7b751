// SPDX-License-Identifier: Apache-2.0
/**
 * A tree that came from no archive, put onto the tree below it: what its maker says of whiteouts takes the place of what
 * members would have said. Every object is taken as it is; no path leads through a symlink.
 *
 * @module
 */
import type { IdMappings } from "../core/id_map.ts";
import { ancestorsOf, joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Ownership } from "./change.ts";
import { ExactTree } from "./lower_tree.ts";
import { settle } from "./settle.ts";
import type { TreeView } from "./tree_view.ts";

/** What such a tree cannot say. */
export interface UnsaidByTree {
  /** Paths that are lost of the tree below; those that it does not have lose nothing. */
  readonly whiteouts?: readonly LayerPath[];
  /** Directories of the tree of which nothing shows from below. */
  readonly opaques?: readonly LayerPath[];
  /** Owner, mode, times and attributes of the root: those of the tree below (the default), or the tree's own. */
  readonly root?: "as below" | "as staged";
}

/** A tree, and what it is to stand on. */
export interface SettleTreeRequest extends UnsaidByTree {
  /** It is completed. */
  readonly tree: RootedDir;
  /** The tree below, with the archives' ids. */
  readonly below: TreeView;
  readonly ownership: Ownership;
  /** Under which ids the tree is kept. */
  readonly idMappings: IdMappings;
}

const IMPLIED_MODE = 0o755;

/**
 * Completes the tree, and tells what it changes.
 * @throws {StrataError} what the system reports
 */
export function settleTree(
  { whiteouts = [], opaques = [], root = "as below", tree, below, ...kept }: SettleTreeRequest,
): Changeset {
  const implied = [...root === "as below" ? [ROOT] : [], ...implyParents(whiteouts, { tree, below })];
  const changeset = { ...describe(tree), whiteouts, opaques, impliedDirs: implied };
  const outcome = settle({ ...kept, changeset, tree, below });
  if (outcome.kind === "settled") return outcome.changeset;
  throw new Error("Cannot settle a tree: no member of an archive could lead through a symlink");
}

/** A whiteout needs a directory to stand in; made where the tree below has one. */
function implyParents(
  whiteouts: readonly LayerPath[],
  { tree, below }: Pick<SettleTreeRequest, "tree" | "below">,
): LayerPath[] {
  const lower = new ExactTree(below);
  const implied: LayerPath[] = [];
  for (const path of whiteouts) {
    if (lower.stat(path) === undefined) continue;
    for (const dir of ancestorsOf(path)) {
      const stat = tree.stat(dir);
      if (stat !== undefined && stat.type !== "dir") break;
      if (stat !== undefined) continue;
      tree.mkdir(dir, IMPLIED_MODE);
      implied.push(dir);
    }
  }
  return implied;
}

function describe(tree: RootedDir): Omit<Changeset, "whiteouts" | "opaques" | "impliedDirs"> {
  let [sizeBytes, entryCount] = [0, 0];
  const counted = new Set<bigint>();
  const pending = [ROOT];
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    for (const { name } of tree.list(dir)) {
      const path = joinPath(dir, name);
      const stat = tree.stat(path);
      if (stat === undefined) continue;
      entryCount++;
      if (stat.type === "dir") pending.push(path);
      // Of an archive's hard links only the first has a size.
      if (stat.type === "file" && !counted.has(stat.ino)) sizeBytes += stat.size;
      counted.add(stat.ino);
    }
  }
  return { sizeBytes, entryCount, enteredDirs: [], pendingLinks: [], lost: [], dropped: [], droppedCount: 0 };
}
