// SPDX-License-Identifier: Apache-2.0
/**
 * Diffs: what one layer changes of another, as a tar, and applied to a third. Whatever a driver keeps and however it
 * compares, the tar gives the same tree again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import { hasCode } from "../../core/errors.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { mountsBelow } from "../../host/mount_table.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { type Driver, stackOf as stackIn } from "../../driver/driver.ts";
import { dir, file, hardlink, type LayerMember, layerTar, opaque, symlink, whiteout } from "../layer_builder.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  at,
  bytesOf,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  layerListing,
  openWritable,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const FILES = 300;

/** Cases about diffs. */
export const diffCases: readonly DriverCase[] = [
  { name: "a diff of many changes, applied to the parent's copy, gives the same tree", run: manyChanges },
  { name: "a diff without a parent is the whole tree", run: withoutParent },
  { name: "a diff of no change is a tar, and changes nothing", run: noChange },
  { name: "a diff is the same tar while mounted, afterwards, and from another instance", run: sameTar },
  { name: "a diff's size is that of the files it brings, hard links once", run: diffSizes },
  { name: "a diff that nobody reads to its end leaves no mount", run: brokenOff },
  { name: "diffs of each layer of a stack, applied one after the other, give the stack's tree", run: layerByLayer },
  { name: "whiteouts in an applied diff hide what was there before, wherever they stand", run: whiteoutsAnywhere },
  { name: "an applied diff adds to what the layer holds already", run: appliedTwice },
  { name: "a diff that is cut off is refused, and the layer is as it was", run: cutOff },
  { name: "what does not exist has no diff", run: missing },
];

const BASE: readonly LayerMember[] = [
  dir("many"),
  ...Array.from({ length: FILES }, (_, index) => file(`many/${index}`, `content ${index}`)),
  dir("gone"),
  file("gone/f", "1"),
  dir("replaced"),
  file("replaced/old", "1"),
  file("file", "1"),
  symlink("link", "file"),
];

/** A bit of everything that a container does. */
function change(tree: RootedDir): void {
  for (let index = 0; index < FILES; index += 3) {
    tree.unlink(at(`many/${index}`));
    put(tree, `many/${index + 1}`, `changed ${index}`);
    put(tree, `many/new ${index}`, `new ${index}`);
  }
  tree.removeTree(at("gone"));
  tree.removeTree(at("replaced"));
  tree.mkdir(at("replaced"), 0o1777);
  put(tree, "replaced/new", "2");
  tree.link(at("replaced/new"), at("replaced/again"));
  tree.unlink(at("link"));
  tree.symlink(at("link"), fromText("replaced/new"));
  tree.mknod(at("pipe"), { type: "fifo", mode: 0o640 });
  tree.setXattr(at("file"), fromText("user.strata"), new Uint8Array([1, 0, 255]));
  const time = { sec: 1_234_567_890, nsec: 123_456_789 };
  for (const name of ["replaced", "replaced/new", "file", "link"]) {
    tree.setTimes(at(name), { atime: time, mtime: time });
  }
}

async function manyChanges(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, change);
    await driver.put(id);
    await withCopyOf(driver, { id, parent: topId(stack) }, async (copy) => {
      assert.deepEqual(await layerListing(driver, copy), await layerListing(driver, id));
      const changes = changeLines(await driver.changes(id, topId(stack)));
      assert.deepEqual(changeLines(await driver.changes(copy, topId(stack))), changes);
      const [one, two] = [id, copy].map((layer) => bytesOf(driver.diff(layer, topId(stack))));
      assert.deepEqual(await two, await one);
    });
  });
}

async function withoutParent(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWritable(context, [], async ({ id, path }) => {
    inTree(path, (tree) => {
      tree.mkdir(at("d"), 0o750);
      put(tree, "d/f", "1");
      tree.symlink(at("l"), fromText("d"));
    });
    await driver.put(id);
    await withCopyOf(driver, { id, parent: undefined }, async (copy) => {
      assert.deepEqual(withoutRoot(await layerListing(driver, copy)), withoutRoot(await layerListing(driver, id)));
    });
  });
}

async function noChange(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id }) => {
    assert.equal((await bytesOf(driver.diff(id, topId(stack)))).byteLength, 1024, "two blocks of zeros");
    assert.equal(await driver.diffSize(id, topId(stack)), 0);
    await withCopyOf(driver, { id, parent: topId(stack) }, async (copy) => {
      assert.deepEqual(await driver.changes(copy, topId(stack)), []);
    });
  });
}

async function sameTar(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, change);
    const mounted = await bytesOf(driver.diff(id, topId(stack)));
    await driver.put(id);
    assert.deepEqual(await bytesOf(driver.diff(id, topId(stack))), mounted);
    assert.deepEqual(await bytesOf(context.reopen().diff(id, topId(stack))), mounted);
  });
}

async function diffSizes(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "12345"), file("b", "123"), file("c", "1")]]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      tree.mkdir(at("d"), 0o755);
      put(tree, "d/new", "1234567");
      tree.link(at("d/new"), at("d/again"));
      put(tree, "a", "12");
      tree.unlink(at("b"));
    });
    await driver.put(id);
    assert.equal(await driver.diffSize(id, topId(stack)), 9);
    assert.equal((await driver.readWriteDiskUsage(id)).bytes >= 9, true);
  });
}

async function brokenOff(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      using large = openWritable(tree, "large");
      for (let round = 0; round < 64; round++) large.write(new Uint8Array(64 * 1024).fill(round));
    });
    await driver.put(id);
    const reader = driver.diff(id, topId(stack)).getReader();
    assert.equal((await reader.read()).done, false);
    await reader.cancel();
    assert.equal(mountsBelow(driver.spec.home).length, 0);
    await driver.remove(id);
    assert.equal(driver.exists(id), false);
  });
}

async function layerByLayer(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [
    [dir("d"), file("d/a", "1"), file("d/b", "1"), hardlink("h", "d/a")],
    [whiteout("d/a"), dir("e"), file("e/x", "2")],
    [dir("d"), opaque("d"), file("d/c", "3"), whiteout("e")],
  ]);
  const copies: CacheId[] = [];
  try {
    for (const [index, { cacheId }] of [...stack].reverse().entries()) {
      const [below, copy] = [stack.at(-index), randomCacheId()];
      await driver.create(copy, copies.at(-1));
      copies.push(copy);
      const stream = driver.diff(cacheId, index === 0 ? undefined : below?.cacheId);
      await driver.applyDiff(copy, copies.at(-2), { kind: "tar", stream });
    }
    assert.deepEqual(await shapeIn(driver, topId([...copies].reverse().map((id) => driver.locate(id)))), {
      "d/": "",
      "d/c": "3",
      h: "1",
    });
  } finally {
    for (const copy of copies.reverse()) await driver.remove(copy);
  }
}

async function whiteoutsAnywhere(context: DriverContext): Promise<void> {
  const below = [dir("d"), file("d/old", "1"), dir("o"), file("o/old", "1"), file("f", "1")];
  const diff = [
    dir("d"),
    file("d/new", "2"),
    file("f", "2"),
    whiteout("f"),
    file("o/new", "2"),
    opaque("o"),
    whiteout("d/old"),
  ];
  await withApplied(context, { below, diffs: [layerTar(diff)] }, async (id) => {
    const tree = { "d/": "", "d/new": "2", f: "2", "o/": "", "o/new": "2" };
    assert.deepEqual(await shapeIn(context.driver, id), tree);
  });
}

async function appliedTwice(context: DriverContext): Promise<void> {
  const below = [dir("d"), file("d/a", "1")];
  const diffs = [[file("d/b", "2"), file("c", "2")], [whiteout("d/b"), whiteout("d/a"), file("d/e", "3")]];
  await withApplied(context, { below, diffs: diffs.map(layerTar) }, async (id, parent) => {
    assert.deepEqual(await shapeIn(context.driver, id), { c: "2", "d/": "", "d/e": "3" });
    const changes = changeLines(await context.driver.changes(id, parent));
    assert.deepEqual(changes.filter((line) => line !== "C /"), ["A /c", "C /d", "D /d/a", "A /d/e"]);
  });
}

async function cutOff(context: DriverContext): Promise<void> {
  const { driver } = context;
  const below = [file("a", "1")];
  await withApplied(context, { below, diffs: [layerTar([file("b", "2")])] }, async (id, parent) => {
    const before = await layerListing(driver, id);
    const tar = layerTar([whiteout("a"), file("c", "x".repeat(5000))]);
    const stream = streamOf(tar.subarray(0, 2000));
    await assert.rejects(
      async () => await driver.applyDiff(id, parent, { kind: "tar", stream }),
      (error) => hasCode(error, "INVALID_ARCHIVE"),
    );
    assert.deepEqual(await layerListing(driver, id), before);
    assert.equal(mountsBelow(driver.spec.home).length, 0);
  });
}

async function missing(context: DriverContext): Promise<void> {
  const { driver } = context;
  const [id, parent] = [randomCacheId(), topId(await stackOf(context, [[file("a", "1")]]))];
  const isMissing = (error: unknown) => hasCode(error, "NOT_FOUND");
  await assert.rejects(async () => await driver.changes(id, parent), isMissing);
  await assert.rejects(async () => await driver.diffSize(id, parent), isMissing);
  await assert.rejects(() => bytesOf(driver.diff(id, parent)), isMissing);
  const stream = streamOf(layerTar([file("b", "2")]));
  await assert.rejects(async () => await driver.applyDiff(id, parent, { kind: "tar", stream }), isMissing);
}

/** Calls with a layer to which a layer's diff was applied. */
async function withCopyOf(
  driver: Driver,
  { id, parent }: { id: CacheId; parent: CacheId | undefined },
  use: (copy: CacheId) => Promise<void>,
): Promise<void> {
  const copy = randomCacheId();
  await driver.create(copy, parent);
  try {
    await driver.applyDiff(copy, parent, { kind: "tar", stream: driver.diff(id, parent) });
    await use(copy);
  } finally {
    await driver.remove(copy);
  }
}

interface Applied {
  readonly below: readonly LayerMember[];
  readonly diffs: readonly Uint8Array[];
}

/** Calls with a layer to which diffs were applied, and its parent. */
async function withApplied(
  context: DriverContext,
  { below, diffs }: Applied,
  use: (id: CacheId, parent: CacheId) => Promise<void>,
): Promise<void> {
  const { driver } = context;
  const [id, parent] = [randomCacheId(), topId(await stackOf(context, [below]))];
  await driver.create(id, parent);
  try {
    for (const tar of diffs) await driver.applyDiff(id, parent, { kind: "tar", stream: streamOf(tar) });
    await use(id, parent);
  } finally {
    await driver.remove(id);
  }
}

async function shapeIn(driver: Driver, id: CacheId): Promise<TreeShape> {
  await using view = await driver.view(stackIn(driver, id));
  return shapeOf(view);
}

/** Nothing in a diff without a parent needs to tell of the root. */
function withoutRoot(listing: readonly string[]): readonly string[] {
  return listing.slice(1);
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new Blob([bytes.slice()]).stream();
}
