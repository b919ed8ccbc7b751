// SPDX-License-Identifier: Apache-2.0
/**
 * Comparing, packing, unpacking, settling and merging are one circle: it ends where it began.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mergeChangeset } from "../../src/changeset/merge.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { settle } from "../../src/changeset/settle.ts";
import { Unpacker } from "../../src/changeset/unpack.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { checkChangedStacks, checkChangedTrees } from "./changed_trees.ts";
import { AS_ROOT, type Scratch } from "./trees.ts";

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

describe("a packed layer", AS_ROOT, () => {
  it("unpacks onto the old tree to the new one, whatever the trees", () => checkChangedTrees(register));

  it("unpacks onto an overlay's lower layers to the whole stack, whatever the layers", () =>
    checkChangedStacks(register));
});
