// SPDX-License-Identifier: Apache-2.0
/**
 * What every way to apply a packed layer must do: make the old tree the new one, whatever the trees.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import fc from "fast-check";
import { compareTrees, compareUpper } from "../../src/changeset/compare.ts";
import { packChanges, packTree } from "../../src/changeset/pack.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { StackedView } from "../../src/changeset/stacked_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { anyTree, OVERLAY, Scratch, snapshot } from "./trees.ts";

const RUNS = Number(process.env.STRATA_PROPERTY_RUNS ?? 200);

/** Puts a layer onto a tree. */
export type Apply = (scratch: Scratch, layer: Iterable<Uint8Array>, into: RootedDir) => void;

/** Two trees of plain directories, compared. */
export function checkChangedTrees(apply: Apply): void {
  const tree = anyTree({ whiteouts: "without" });
  fc.assert(
    fc.property(tree, tree, (before, now) => {
      using scratch = new Scratch();
      using old = new PlainView(scratch.tree(before));
      using fresh = new PlainView(scratch.tree(now));
      const changes = compareTrees({ now: fresh, before: old, unchangedBefore: { sec: 0, nsec: 0 } });
      using root = materialise(scratch, old, apply);
      assert.deepEqual(snapshot(new PlainView(root)), snapshot(old));
      apply(scratch, packChanges({ now: fresh, changes }), root);
      assert.deepEqual(snapshot(new PlainView(root)), snapshot(fresh));
    }),
    { numRuns: RUNS },
  );
}

/** An overlay's lower layers, and the whole stack. */
export function checkChangedStacks(apply: Apply): void {
  const tree = anyTree({ whiteouts: "with" });
  fc.assert(
    fc.property(tree, fc.array(tree, { minLength: 1, maxLength: 2 }), (upperTree, lowerTrees) => {
      using scratch = new Scratch();
      using upper = scratch.tree(upperTree);
      const lowers = lowerTrees.map((lower) => scratch.tree(lower));
      using before = new StackedView(lowers, OVERLAY);
      using now = new StackedView([upper, ...lowers].map((layer) => RootedDir.open(layer.path)), OVERLAY);
      const changes = compareUpper({ upper, dialect: OVERLAY, now, before });
      using root = materialise(scratch, before, apply);
      apply(scratch, packChanges({ now, changes }), root);
      assert.deepEqual(snapshot(new PlainView(root)), snapshot(now));
    }),
    { numRuns: RUNS },
  );
}

/** A view's tree as a directory of its own. */
function materialise(scratch: Scratch, view: TreeView, apply: Apply): RootedDir {
  const root = RootedDir.open(scratch.folder());
  apply(scratch, packTree(view), root);
  return root;
}
