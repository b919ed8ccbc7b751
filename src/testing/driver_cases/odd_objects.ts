// SPDX-License-Identifier: Apache-2.0
/**
 * What programs make in writable layers and no layer's archive can hold: sockets, and names that archives keep for
 * whiteouts. Trees keep them; diffs leave them out, and hide nothing by them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { dir, file, type LayerMember } from "../layer_builder.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  layerListing,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const BASE: readonly LayerMember[] = [dir("d"), file("d/a", "1"), file("f", "1")];
const TREE = { "d/": "", "d/a": "1", f: "1" };

/** Cases about what archives cannot hold. */
export const oddObjectCases: readonly DriverCase[] = [
  { name: "a socket stays in writable layers above and in copies, and diffs leave it out", run: sockets },
  {
    name: "files that are named like whiteouts hide nothing, and diffs leave them out",
    // Who makes such files for whiteouts cannot tell them apart.
    needs: ({ removableNameBytesMax }) => removableNameBytesMax === undefined,
    run: whiteoutNames,
  },
];

async function sockets(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => tree.mknod(at("d/s"), { type: "socket", mode: 0o755 }));
    await driver.put(id);
    assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), ["C /d", "A /d/s"]);
    const listing = await layerListing(driver, id);
    const [above, copy] = [randomCacheId(), randomCacheId()];
    await driver.createReadWrite(above, id);
    await driver.createFromTemplate(copy, { template: id, parent: topId(stack), access: "writable" });
    for (const layer of [above, copy]) {
      assert.deepEqual(await layerListing(driver, layer), listing);
      await driver.remove(layer);
    }
    await assertDiffGives(context, { id, parent: topId(stack), leftOut: ["d/s"], tree: TREE });
  });
}

async function whiteoutNames(context: DriverContext): Promise<void> {
  const { driver } = context;
  const names = [".wh.f", "d/.wh..wh..opq", "d/.wh.a"];
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree: RootedDir) => {
      for (const name of names) put(tree, name, "2");
      put(tree, "d/b", "2");
    });
    await driver.put(id);
    const view = await inView(context, stackIn(driver, id), shapeOf);
    assert.equal(view.f, "1");
    assert.equal(view["d/a"], "1");
    await assertDiffGives(context, { id, parent: topId(stack), leftOut: names, tree: { ...TREE, "d/b": "2" } });
  });
}

interface Diffed {
  readonly id: CacheId;
  readonly parent: CacheId;
  /** What the diff does not hold, sorted. */
  readonly leftOut: readonly string[];
  /** What the diff makes of the parent. */
  readonly tree: TreeShape;
}

async function assertDiffGives(context: DriverContext, { id, parent, leftOut, tree }: Diffed): Promise<void> {
  const { driver } = context;
  const applied = randomCacheId();
  await driver.create(applied, parent);
  const skipped: string[] = [];
  const stream = driver.diff(id, parent, { onSkip: ({ entry }) => void skipped.push(entry) });
  await driver.applyDiff(applied, parent, { kind: "tar", stream });
  assert.deepEqual(skipped, leftOut, "what is left out is told");
  assert.deepEqual(await inView(context, stackIn(driver, applied), shapeOf), tree);
  await driver.remove(applied);
}
