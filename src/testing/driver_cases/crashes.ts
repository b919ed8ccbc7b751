// SPDX-License-Identifier: Apache-2.0
/**
 * What a process leaves that was killed while it used a driver, and that others can go on with the home.
 *
 * A case cannot start a process by itself, since only the driver's author knows how the driver is opened there. It asks
 * {@link DriverContext.crash} for it; without that, the same steps are taken by another instance that never ends them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { type CacheId, parseCacheId, randomCacheId } from "../../core/ids.ts";
import { mountsBelow } from "../../host/mount_table.ts";
import { OpenFile } from "../../host/open_file.ts";
import type { Driver } from "../../driver/driver.ts";
import { addLayer, dir, file, stageLayer, whiteout } from "../layer_builder.ts";
import {
  assertMerged,
  changeLines,
  type CrashPoint,
  type DriverCase,
  type DriverContext,
  inTree,
  layerListing,
  listingAt,
  publishesApart,
  put,
  stackOf,
  topId,
} from "./case.ts";

/** What a driver is opened on in the process that is killed. */
export type CrashContext = Pick<DriverContext, "driver" | "work">;

const BASE = parseCacheId("ba5e".repeat(16));
const TOP = parseCacheId("70b0".repeat(16));
const WRITABLE = parseCacheId("3717".repeat(16));
const COPY = parseCacheId("c0b1".repeat(16));

const STANDARD_OUTPUT = 1;

const BASE_MEMBERS = [dir("d"), file("d/a", "1"), file("d/b", "1")];
const TOP_MEMBERS = [whiteout("d/a"), file("d/c", "2")];

/** Cases about processes that were killed. */
export const crashCases: readonly DriverCase[] = [
  { name: "killed: what was mounted is found, and can be unmounted and removed", run: whileMounted },
  { name: "killed: a layer that was sealed only can be made again", needs: publishesApart, run: whileStaged },
  { name: "killed: a layer that was published is there, whole", run: afterPublishing },
  { name: "killed: a writable layer that was being made can be removed, and made again", run: whileCreating },
  { name: "killed: a layer that was being copied is whole or none, and can be copied again", run: whileCopying },
];

/**
 * Takes the steps to a point, says `ready` on standard output, and waits to be killed. For the process that
 * {@link DriverContext.crash} starts: it opens the driver on the home that it is told, and calls this.
 */
export async function crashAt(point: CrashPoint, context: CrashContext): Promise<never> {
  await reach(point, context, { whenCreating: park });
  return park();
}

/** Blocks the thread, so that nothing of this process runs any more: no timer, no handler, no clean-up. */
function park(): never {
  new OpenFile(STANDARD_OUTPUT).write(new TextEncoder().encode("ready\n"));
  const lock = new Int32Array(new SharedArrayBuffer(4));
  for (;;) Atomics.wait(lock, 0, 0);
}

interface ReachOptions {
  /** Called in the middle of making a layer, where a driver copies for that. */
  readonly whenCreating?: () => void;
}

async function reach(point: CrashPoint, { driver, work }: CrashContext, options: ReachOptions = {}): Promise<void> {
  const base = await addLayer(driver, { archive: BASE_MEMBERS, work, cacheId: BASE });
  if (point === "staged" || point === "published") {
    const { sealed } = await stageLayer(driver, { archive: TOP_MEMBERS, below: base, work, cacheId: TOP });
    if (point === "published") await driver.publish(sealed);
    return;
  }
  const onEntry = afterSome(options.whenCreating);
  const stopping = onEntry === undefined ? {} : { onEntry };
  if (point === "copying") {
    return await driver.createFromTemplate(COPY, {
      template: BASE,
      parent: undefined,
      access: "writable",
      ...stopping,
    });
  }
  await driver.createReadWrite(WRITABLE, BASE, point === "creating" ? stopping : {});
  if (point === "mounted") inTree(await driver.get(WRITABLE), (tree) => put(tree, "d/new", "2"));
}

/** Lets the first objects be copied. */
function afterSome(act: (() => void) | undefined): (() => void) | undefined {
  let copied = 0;
  return act && (() => {
    if (++copied === 3) act();
  });
}

/** Has another process killed at a point, where the runner can do that. */
async function crash(context: DriverContext, point: CrashPoint): Promise<void> {
  if (context.crash !== undefined) return await context.crash(point);
  await reach(point, { driver: context.reopen(), work: context.work });
}

async function whileMounted(context: DriverContext): Promise<void> {
  const { driver } = context;
  await crash(context, "mounted");
  assert.deepEqual(driver.list().map(({ cacheId }) => cacheId), [BASE, WRITABLE].sort());
  const path = await driver.get(WRITABLE);
  assert.equal(path, driver.treeOf(WRITABLE, "writable").path);
  assert.equal(listingAt(path).length, 5);
  assert.deepEqual(changeLines(await driver.changes(WRITABLE, BASE)), ["C /d", "A /d/new"]);
  await driver.put(WRITABLE);
  assert.equal(mountsBelow(driver.spec.home).length, 0);
  await driver.remove(WRITABLE);
  await assertMerged(context, [driver.locate(BASE)], { "d/": "", "d/a": "1", "d/b": "1" });
}

async function whileStaged(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  await crash(context, "staged");
  for (const debris of driver.debris()) await driver.removeDebris(debris);
  // Drivers that make layers in their homes only have it there: garbage, which no record names.
  await driver.remove(TOP);
  assert.equal(driver.exists(TOP), false);
  assert.deepEqual(driver.check(BASE, []), []);
  const stack = await addLayer(driver, {
    archive: TOP_MEMBERS,
    below: [driver.locate(BASE)],
    work,
    cacheId: TOP,
  });
  await assertMerged(context, stack, { "d/": "", "d/b": "1", "d/c": "2" });
}

async function afterPublishing(context: DriverContext): Promise<void> {
  const { driver } = context;
  await crash(context, "published");
  const stack = [driver.locate(TOP), driver.locate(BASE)];
  assert.deepEqual(driver.check(TOP, stack.slice(1)), []);
  assert.deepEqual(driver.debris(), []);
  await assertMerged(context, stack, { "d/": "", "d/b": "1", "d/c": "2" });
}

async function whileCreating(context: DriverContext): Promise<void> {
  const { driver } = context;
  await crash(context, "creating");
  await driver.remove(WRITABLE);
  assert.equal(driver.exists(WRITABLE), false);
  assert.deepEqual(driver.debris(), []);
  await driver.createReadWrite(WRITABLE, BASE);
  assert.equal(listingAt(await driver.get(WRITABLE)).length, 4);
  assert.deepEqual(await driver.changes(WRITABLE, BASE), []);
  await driver.remove(WRITABLE);
  const other = topId(await stackOf(context, [[file("f", "1")]]));
  assert.equal(driver.exists(other), true);
}

async function whileCopying(context: DriverContext): Promise<void> {
  const { driver } = context;
  await crash(context, "copying");
  const listing = await layerListing(driver, BASE);
  if (driver.exists(COPY)) assert.deepEqual(await layerListing(driver, COPY), listing);
  else await assertNoLayer(driver, COPY);
  for (const debris of driver.debris()) await driver.removeDebris(debris);
  await driver.remove(COPY);
  await assertNoLayer(driver, COPY);
  assert.deepEqual(driver.debris(), []);
  await driver.createFromTemplate(COPY, { template: BASE, parent: undefined, access: "writable" });
  assert.deepEqual(await layerListing(driver, COPY), listing);
  await driver.remove(COPY);
  assert.deepEqual(driver.list().map(({ cacheId }) => cacheId), [BASE]);
}

/** Fails where somebody could take what is left of a layer for one. */
async function assertNoLayer(driver: Driver, id: CacheId): Promise<void> {
  assert.equal(driver.exists(id), false);
  assert.deepEqual(driver.list().filter(({ cacheId }) => cacheId === id), []);
  const isMissing = (error: unknown) => hasCode(error, "NOT_FOUND");
  await assert.rejects(async () => await driver.get(id), isMissing);
  await assert.rejects(async () => await driver.createReadWrite(randomCacheId(), id), isMissing);
  assert.deepEqual(driver.check(id, []).map(({ mending }) => mending), ["impossible"]);
}
