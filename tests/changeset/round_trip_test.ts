// SPDX-License-Identifier: Apache-2.0
/**
 * Comparing, packing, unpacking, settling and merging are one circle: it ends where it began.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareTrees, compareUpper } from "../../src/changeset/compare.ts";
import { mergeChangeset } from "../../src/changeset/merge.ts";
import { packChanges, packTree } from "../../src/changeset/pack.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { settle } from "../../src/changeset/settle.ts";
import { StackedView } from "../../src/changeset/stacked_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { Unpacker } from "../../src/changeset/unpack.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { anyTree, AS_ROOT, OVERLAY, Scratch, snapshot } from "./trees.ts";

/** A layer put onto a tree by the way that every layer goes. */
function register(scratch: Scratch, layer: Iterable<Uint8Array>, into: RootedDir): void {
  using tree = RootedDir.open(scratch.folder());
  using displaced = RootedDir.open(scratch.folder());
  using unpacker = new Unpacker({ tree, displaced, ownership: "archive" });
  const reader = new TarReader({
    segment() {},
    entry: (entry) => unpacker.entry(entry),
    data: (bytes) => unpacker.data(bytes),
    endEntry: () => unpacker.endEntry(),
    end() {},
  });
  for (const chunk of layer) reader.push(chunk);
  reader.end();
  using below = new PlainView(RootedDir.open(into.path));
  const settlement = settle({ changeset: unpacker.finish(), tree, below, ownership: "archive" });
  assert.equal(settlement.kind, "settled", "a packed layer brings its directories, so no parent is a symlink below");
  if (settlement.kind === "settled") mergeChangeset({ changeset: settlement.changeset, tree, into });
}

/** A tree registered as a base layer. */
function registered(scratch: Scratch, view: TreeView): RootedDir {
  const root = RootedDir.open(scratch.folder());
  register(scratch, packTree(view), root);
  return root;
}

describe("a packed layer", AS_ROOT, () => {
  it("unpacks onto the old tree to the new one, whatever the trees", () => {
    const tree = anyTree({ whiteouts: "without" });
    fc.assert(
      fc.property(tree, tree, (before, now) => {
        using scratch = new Scratch();
        using old = new PlainView(scratch.tree(before));
        using fresh = new PlainView(scratch.tree(now));
        const changes = compareTrees({ now: fresh, before: old, unchangedBefore: { sec: 0, nsec: 0 } });
        using root = registered(scratch, old);
        assert.deepEqual(snapshot(new PlainView(root)), snapshot(old));
        register(scratch, packChanges({ now: fresh, changes }), root);
        assert.deepEqual(snapshot(new PlainView(root)), snapshot(fresh));
      }),
      { numRuns: 200 },
    );
  });

  it("unpacks onto an overlay's lower layers to the whole stack, whatever the layers", () => {
    const tree = anyTree({ whiteouts: "with" });
    fc.assert(
      fc.property(tree, fc.array(tree, { minLength: 1, maxLength: 2 }), (upperTree, lowerTrees) => {
        using scratch = new Scratch();
        using upper = scratch.tree(upperTree);
        const lowers = lowerTrees.map((lower) => scratch.tree(lower));
        using before = new StackedView(lowers, OVERLAY);
        using now = new StackedView([upper, ...lowers].map((layer) => RootedDir.open(layer.path)), OVERLAY);
        const changes = compareUpper({ upper, dialect: OVERLAY, now, before });
        using root = registered(scratch, before);
        register(scratch, packChanges({ now, changes }), root);
        assert.deepEqual(snapshot(new PlainView(root)), snapshot(now));
      }),
      { numRuns: 200 },
    );
  });
});
