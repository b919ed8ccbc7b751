// SPDX-License-Identifier: Apache-2.0
/**
 * Mounts: how many there are, whose they are, and that none is left; with several users at once, and in use while their
 * layers are removed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { pathExists } from "../../host/files.ts";
import { mountsBelow } from "../../host/mount_table.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { Driver } from "../../driver/driver.ts";
import { file, type LayerMember } from "../layer_builder.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  listingAt,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const LAYERS: readonly (readonly LayerMember[])[] = [[file("a", "1")], [file("b", "2")]];
/** Users at once: more than there are processors. */
const USERS = 12;

/** Cases about mounts and their users. */
export const mountCases: readonly DriverCase[] = [
  { name: "what `get` mounts is one mount, and `put` leaves none", run: countsMounts },
  { name: "a layer that many get at once is mounted once", run: getsAtOnce },
  { name: "many writable layers on one stack are made, written, told and removed at once", run: manyAtOnce },
  { name: "layers are mounted, unmounted and removed at once by two instances", run: twoInstances },
  { name: "unmounting one layer leaves its siblings and its parent mounted", run: leavesSiblings },
  { name: "what is mounted over a layer is told while it is", run: tellsMountsOver },
  { name: "a layer whose files are open can be unmounted and removed", run: removesInUse },
  { name: "a mount that was ended by somebody else is made again", run: endedByOthers },
  { name: "cleanup ends the mounts of another instance", run: cleansUpOthers },
];

function mountsIn({ spec }: Driver): number {
  return mountsBelow(spec.home).length;
}

/** One for a driver that mounts, else none. */
function mountsOf({ driver }: DriverContext, id: CacheId): number {
  return driver.treeOf(id, "writable").kind === "mount" ? 1 : 0;
}

async function countsMounts(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id }) => {
    assert.equal(mountsIn(driver), mountsOf(context, id));
    await driver.put(id);
    assert.equal(mountsIn(driver), 0);
    await driver.get(id);
    assert.equal(mountsIn(driver), mountsOf(context, id));
  });
  assert.equal(mountsIn(driver), 0, "removing a mounted layer left its mount");
}

async function getsAtOnce(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id, path }) => {
    await driver.put(id);
    const paths = await Promise.all(Array.from({ length: USERS }, () => driver.get(id)));
    assert.deepEqual(new Set(paths), new Set([path]));
    assert.equal(mountsIn(driver), mountsOf(context, id));
    inTree(path, (tree) => put(tree, "c", "3"));
    await Promise.all(paths.map(() => driver.put(id)));
    assert.equal(mountsIn(driver), 0);
    assert.equal(listingAt(await driver.get(id)).length, 4);
  });
}

async function manyAtOnce(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  const before = listingAt(await driver.get(topId(stack), { access: "read-only" }));
  await Promise.all(Array.from({ length: USERS }, async (_, user) => {
    const name = `of user ${user}`;
    const id = randomCacheId();
    await driver.createReadWrite(id, topId(stack));
    const path = await driver.get(id);
    inTree(path, (tree) => {
      put(tree, name, "1");
      tree.unlink(at("a"));
    });
    await driver.put(id);
    assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), ["C /", "D /a", `A /${name}`]);
    await driver.remove(id);
  }));
  assert.deepEqual(listingAt(driver.treeOf(topId(stack), "read-only").path), before);
  await driver.put(topId(stack));
  assert.equal(mountsIn(driver), 0);
  assert.equal(driver.list().length, stack.length);
}

async function twoInstances(context: DriverContext): Promise<void> {
  const other = context.reopen();
  const stack = await stackOf(context, LAYERS);
  await Promise.all(Array.from({ length: USERS }, async (_, user) => {
    const [one, two] = user % 2 === 0 ? [context.driver, other] : [other, context.driver];
    const id = randomCacheId();
    await one.createReadWrite(id, topId(stack));
    inTree(await two.get(id), (tree) => put(tree, "c", "3"));
    await one.put(id);
    assert.deepEqual(changeLines(await two.changes(id, topId(stack))), ["C /", "A /c"]);
    await two.get(id);
    await one.remove(id);
    assert.equal(two.exists(id), false);
  }));
  assert.equal(mountsIn(other), 0);
}

async function leavesSiblings(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  const parent = await driver.get(topId(stack), { access: "read-only" });
  await withWritable(context, stack, async (one) => {
    await withWritable(context, stack, ({ path }) => inTree(path, (tree) => put(tree, "c", "3")));
    inTree(one.path, (tree) => put(tree, "d", "4"));
    assert.equal(listingAt(one.path).length, 4);
    assert.equal(await driver.get(one.id), one.path);
  });
  assert.equal(listingAt(parent).length, 3);
  await driver.put(topId(stack));
}

async function tellsMountsOver(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id, path }) => {
    const isMount = driver.treeOf(id, "writable").kind === "mount";
    const expected = isMount && driver.parentsOf(id).length > 0 ? [path] : [];
    for (const { cacheId } of stack) assert.deepEqual(driver.mountsOver(cacheId), expected);
    await driver.put(id);
    for (const { cacheId } of stack) assert.deepEqual(driver.mountsOver(cacheId), []);
  });
}

async function removesInUse(context: DriverContext): Promise<void> {
  const { driver } = context;
  const id = randomCacheId();
  await driver.createReadWrite(id, topId(await stackOf(context, LAYERS)));
  const path = await driver.get(id);
  using tree = RootedDir.open(path);
  put(tree, "c", "3");
  using open = tree.openRead(at("c"));
  await driver.put(id);
  await driver.remove(id);
  assert.equal(driver.exists(id), false);
  assert.equal(pathExists(path), false);
  assert.equal(mountsIn(driver), 0);
  assert.equal(open.read(new Uint8Array(1)), 1, "an open file ends with its last user");
}

async function endedByOthers(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => put(tree, "c", "3"));
    await context.reopen().put(id);
    assert.equal(await driver.get(id), path);
    assert.equal(listingAt(path).length, 4);
  });
}

async function cleansUpOthers(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  await withWritable(context, stack, async ({ id, path }) => {
    await context.reopen().cleanup();
    assert.equal(mountsIn(driver), 0);
    assert.equal(await driver.get(id), path);
    assert.equal(listingAt(path).length, 3);
  });
}
