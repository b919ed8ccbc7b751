// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that stand for others in another store. Drivers without such layers have nothing to show here, and pass.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { joinPath, ROOT } from "../../core/layer_path.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import type { OutsideLayers } from "../../driver/interfaces/outside_layers.ts";
import { copyDirectory } from "../../driver/parts/tree_tools.ts";
import { removeTreeAt } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { addLayer, dir, file, hardlink, layerTar, opaque, stageLayer, symlink, whiteout } from "../layer_builder.ts";
import { listingOf, shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  assertMerged,
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  listingAt,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const LAYERS = [
  [dir("d"), file("d/old", "1"), file("d/gone", "1"), dir("e"), file("e/hidden", "1"), symlink("l", "d")],
  [whiteout("d/gone"), dir("e"), opaque("e"), file("e/new", "2"), hardlink("e/again", "e/new"), file("l2", "2")],
] as const;
const MERGED: TreeShape = {
  "d/": "",
  "d/old": "1",
  "e/": "",
  "e/again": "2",
  "e/new": "2",
  l: "-> d",
  l2: "2",
};

/** Cases about layers of other stores. */
export const outsideCases: readonly DriverCase[] = [
  { name: "outside: layers of another store show the same tree, mounted or not", run: showsTheSame },
  { name: "outside: a layer of another store gives the same contents and changes", run: tellsTheSame },
  { name: "outside: layers and writable layers can be made on those of another store", run: carriesOthers },
  { name: "outside: whatever is done, the other store stays as it is", run: leavesOutsideAlone },
];

/** Layers of the driver, and the same once more, with their files in a store of their own. */
interface Doubled {
  readonly outside: OutsideLayers;
  /** Top first. */
  readonly originals: readonly LayerLocation[];
  /** Top first. */
  readonly standIns: readonly LayerLocation[];
  /** The directories outside, top first. */
  readonly dirs: readonly string[];
}

/** Calls with layers that stand for others; not at all where the driver has none. */
async function withStandIns(
  context: DriverContext,
  use: (doubled: Doubled) => Promise<void> | void,
): Promise<void> {
  const { driver, work } = context;
  const { outsideLayers: outside, capabilities: { ownership } } = driver;
  if (outside === undefined) return;
  const originals = await stackOf(context, LAYERS);
  const dirs: string[] = [];
  let standIns: readonly LayerLocation[] = [];
  for (const { cacheId } of [...originals].reverse()) {
    const tree = outside.asOutside(cacheId);
    const dir = `${work}/outside-${dirs.length}`;
    copyDirectory(tree.dir, dir, { ownership });
    const id = randomCacheId();
    await outside.createStandIn(id, standIns[0]?.cacheId, { ...tree, dir });
    standIns = [driver.locate(id), ...standIns];
    dirs.unshift(dir);
  }
  await use({ outside, originals, standIns, dirs });
}

async function showsTheSame(context: DriverContext): Promise<void> {
  await withStandIns(context, async ({ outside, originals, standIns, dirs }) => {
    const { driver, reopen } = context;
    assert.deepEqual(standIns.map(({ cacheId }) => outside.standInOf(cacheId)), dirs);
    assert.deepEqual(originals.map(({ cacheId }) => outside.standInOf(cacheId)), [undefined, undefined]);
    await assertMerged(context, standIns, MERGED);
    for (const [index] of standIns.entries()) {
      const [ours, theirs] = [standIns.slice(index), originals.slice(index)];
      assert.deepEqual(await inView(context, ours, listingOf), await inView(context, theirs, listingOf));
      await assertMerged(context, ours, await inView(context, theirs, shapeOf));
    }
    const again = reopen();
    for (const { cacheId } of standIns) {
      assert.equal(again.exists(cacheId), true);
      assert.deepEqual(driver.needsOf(cacheId), again.needsOf(cacheId));
      assert.equal(again.list().some((found) => found.cacheId === cacheId), true);
      assert.deepEqual(await driver.readWriteDiskUsage(cacheId), { bytes: 0, inodes: 0 });
    }
    standIns.forEach(({ cacheId }, index) => assert.deepEqual(again.check(cacheId, standIns.slice(index + 1)), []));
    assert.deepEqual(again.debris(), []);
  });
}

async function tellsTheSame(context: DriverContext): Promise<void> {
  await withStandIns(context, async ({ originals: [top, base], standIns: [own, below] }) => {
    const { driver } = context;
    for (const [id, parent, other, otherParent] of [[own, below, top, base], [below, undefined, base, undefined]]) {
      const [ours, theirs] = [[id!.cacheId, parent?.cacheId], [other!.cacheId, otherParent?.cacheId]] as const;
      assert.deepEqual(changeLines(await driver.changes(...ours)), changeLines(await driver.changes(...theirs)));
      assert.equal(await driver.diffSize(...ours), await driver.diffSize(...theirs));
      assert.deepEqual(await bytesOf(driver.diff(...ours)), await bytesOf(driver.diff(...theirs)));
    }
    using files = await driver.diffGetter([own!, below!]);
    using content = files.openRead(at("e/again"));
    const bytes = new Uint8Array(9);
    assert.equal(new TextDecoder().decode(bytes.subarray(0, content.read(bytes))), "2");
  });
}

async function carriesOthers(context: DriverContext): Promise<void> {
  await withStandIns(context, async ({ standIns }) => {
    const { driver, work } = context;
    const archive = [whiteout("d"), dir("e"), file("e/third", "3"), file("l2", "3")];
    const stack = await addLayer(driver, { archive, below: standIns, work });
    const merged: TreeShape = { "e/": "", "e/again": "2", "e/new": "2", "e/third": "3", l: "-> d", l2: "3" };
    await assertMerged(context, stack, merged);
    await withWritable(context, stack, async ({ id, path }) => {
      inTree(path, (tree) => {
        tree.removeTree(at("e"));
        put(tree, "l2", "4");
        put(tree, "mine", "4");
      });
      await driver.put(id);
      const lines = changeLines(await driver.changes(id, topId(stack)));
      assert.deepEqual(lines, ["C /", "D /e", "C /l2", "A /mine"]);
    });
    const copy = randomCacheId();
    const { cacheId: template } = standIns[0]!;
    await driver.createFromTemplate(copy, { template, parent: standIns[1]?.cacheId, access: "read-only" });
    await driver.remove(template);
    await assertMerged(context, [driver.locate(copy), ...standIns.slice(1)], MERGED);
  });
}

async function leavesOutsideAlone(context: DriverContext): Promise<void> {
  await withStandIns(context, async ({ outside, standIns, dirs }) => {
    const { driver, work } = context;
    const before = dirs.map((dir) => inTree(dir, traceOf));
    const [{ cacheId: top }, { cacheId: base }] = [standIns[0]!, standIns[1]!];
    await withWritable(context, standIns, ({ path }) => {
      inTree(path, (tree) => {
        put(tree, "d/old", "changed");
        tree.setMode(at("e"), 0o700);
        tree.removeTree(at("e"));
      });
    });
    const tar = layerTar([file("new", "1")]);
    const stream = new Blob([new Uint8Array(tar)]).stream();
    const isInUse = (error: unknown) => hasCode(error, "IN_USE");
    await assert.rejects(async () => await driver.applyDiff(top, base, { kind: "tar", stream }), isInUse);
    await driver.mend(base, []);
    // A sealed layer takes the place of a stand-in.
    const staged = await stageLayer(driver, { archive: LAYERS[1], below: standIns.slice(1), work, cacheId: top });
    await driver.replace(staged.sealed);
    removeTreeAt(staged.staging);
    assert.equal(outside.standInOf(top), undefined);
    await driver.remove(top);
    await driver.remove(base);
    assert.deepEqual([top, base].map((id) => driver.exists(id)), [false, false]);
    await driver.cleanup();
    assert.deepEqual(dirs.map((dir) => inTree(dir, traceOf)), before);
    assert.deepEqual(dirs.map((dir) => listingAt(dir).length > 0), [true, true]);
  });
}

/** What would show the least change of a tree: also of attributes and links, by the times of change. */
function traceOf(tree: RootedDir): readonly string[] {
  const lines: string[] = [];
  const pending = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const { type, ino, ctime, nlink } = tree.stat(path)!;
    lines.push([path, ino, ctime.sec, ctime.nsec, nlink].join());
    if (type === "dir") { for (const { name } of tree.list(path)) pending.push(joinPath(path, name)); }
  }
  return lines;
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
