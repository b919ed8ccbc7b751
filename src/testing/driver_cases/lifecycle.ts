// SPDX-License-Identifier: Apache-2.0
/**
 * How layers come, are mounted and go.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode, isStrataError } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { listNames, pathExists } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { addLayer, dir, file, stageLayer, whiteout } from "../layer_builder.ts";
import {
  assertMerged,
  at,
  type DriverCase,
  type DriverContext,
  inTree,
  listingAt,
  publishesApart,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

/** Cases about the life of a layer. */
export const lifecycleCases: readonly DriverCase[] = [
  { name: "a sealed layer appears when published, not before", needs: publishesApart, run: publishes },
  { name: "layers can be sealed on layers that are staged only", run: sealsOnStaged },
  { name: "a sealed layer can be put on another copy of its parents", run: rebases },
  { name: "publishing under an id that is taken is refused", run: refusesTakenId },
  { name: "a published layer's directory has nothing left over from its making", run: leavesNothing },
  { name: "the size of a layer counts its files", run: sizes },
  { name: "the stack below is told, or not known", run: tellsParents },
  { name: "a mounted layer is mounted once, whoever asks", run: mountsOnce },
  { name: "a mount can be undone twice, and made again", run: putsTwice },
  { name: "a layer got read-only refuses writes", needs: (c) => c.readOnlyMounts === "enforced", run: refusesWrites },
  { name: "a writable layer can be got read-only", needs: (c) => c.readOnlyMounts === "enforced", run: readOnlyView },
  { name: "a layer that does not exist cannot be mounted", run: missingLayer },
  { name: "a mounted layer can be removed", run: removesMounted },
  { name: "removing twice is no error", run: removesTwice },
  { name: "removing a layer leaves the others", run: removesOne },
  { name: "writable layers refuse options that nobody honours", run: refusesOptions },
  { name: "a writable layer replaces none", run: replacesNone },
  { name: "metadata names directories that are absolute", run: metadata },
  { name: "status is a table of texts", run: status },
  { name: "cleanup unmounts everything", run: cleansUp },
  { name: "the home's layers are listed", run: lists },
  { name: "a layer that is made again takes its old place, and layers above find it", run: replaces },
  { name: "whole layers are found to be whole, and a missing one missing", run: checks },
  { name: "a home in use has nothing that is no layer's", run: hasNoDebris },
];

async function publishes({ driver, work }: DriverContext): Promise<void> {
  const { sealed } = await stageLayer(driver, { archive: [file("a", "1")], work });
  if (sealed.stagedAs === undefined) assert.equal(driver.exists(sealed.cacheId), false);
  await driver.publish(sealed);
  driver.syncHome();
  assert.equal(driver.exists(sealed.cacheId), true);
  assert.equal(pathExists(sealed.dir), false);
}

async function sealsOnStaged(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const base = (await stageLayer(driver, { archive: [dir("d"), file("d/a", "1"), file("d/b", "1")], work })).sealed;
  const middle = (await stageLayer(driver, { archive: [whiteout("d/a")], below: [base], work })).sealed;
  const top = (await stageLayer(driver, { archive: [file("d/c", "3")], below: [middle, base], work })).sealed;
  for (const layer of [base, middle, top]) await driver.publish(layer);
  driver.syncHome();
  const stack = [top, middle, base].map(({ cacheId }) => driver.locate(cacheId));
  await assertMerged(context, stack, { "d/": "", "d/b": "1", "d/c": "3" });
}

async function rebases(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const base = [dir("d"), file("d/a", "1"), file("d/b", "1")];
  const staged = (await stageLayer(driver, { archive: base, work })).sealed;
  const { sealed } = await stageLayer(driver, { archive: [whiteout("d/a")], below: [staged], work });
  const parents = await addLayer(driver, { archive: base, work });
  await driver.rebase(sealed, parents);
  await driver.publish(sealed);
  await assertMerged(context, [driver.locate(sealed.cacheId), ...parents], { "d/": "", "d/b": "1" });
}

async function refusesTakenId({ driver, work }: DriverContext): Promise<void> {
  const { sealed } = await stageLayer(driver, { archive: [file("a", "1")], work });
  await driver.publish(sealed);
  const other = (await stageLayer(driver, { archive: [file("a", "2")], work })).sealed;
  await assert.rejects(
    async () => await driver.publish({ ...other, cacheId: sealed.cacheId }),
    (error) => hasCode(error, "CONFLICT"),
  );
  assert.equal(pathExists(other.dir), true);
}

async function leavesNothing(context: DriverContext): Promise<void> {
  await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  assert.deepEqual(listNames(context.work), []);
}

async function sizes({ driver, work }: DriverContext): Promise<void> {
  const { sealed } = await stageLayer(driver, { archive: [dir("d"), file("d/a", "123"), file("b", "4567")], work });
  assert.equal(sealed.sizeBytes, 7);
}

async function tellsParents(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a")], [file("b")], [file("c")]]);
  const parents = context.driver.parentsOf(topId(stack));
  if (parents.length > 0) assert.deepEqual(parents, stack.slice(1));
}

async function mountsOnce(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  await withWritable(context, stack, async ({ id, path }) => {
    using tree = RootedDir.open(path);
    put(tree, "c", "3");
    assert.equal(context.driver.treeOf(id, "writable").path, path);
    assert.equal(await context.driver.get(id), path);
    assert.equal(await context.reopen().get(id), path);
    await context.driver.put(id);
    assert.equal(await context.driver.get(id), path);
    assert.equal(listingAt(path).length, 4);
  });
}

async function putsTwice(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  await driver.put(topId(stack));
  for (let round = 0; round < 2; round++) {
    assert.equal(listingAt(await driver.get(topId(stack))).length, 3);
    await driver.put(topId(stack));
    await driver.put(topId(stack));
  }
}

async function refusesWrites(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  for (const { cacheId } of stack) {
    for (const options of [{}, { access: "read-only" }] as const) {
      using tree = RootedDir.open(await driver.get(cacheId, options));
      assert.throws(() => put(tree, "new", "1"), /EROFS/);
      assert.throws(() => tree.setMode(at("a"), 0), /EROFS/);
      tree.close();
      await driver.put(cacheId);
    }
  }
}

async function readOnlyView(context: DriverContext): Promise<void> {
  const { driver } = context;
  for (const stack of [[], await stackOf(context, [[file("a", "1")]])]) {
    await withWritable(context, stack, async ({ id, path }) => {
      {
        using tree = RootedDir.open(path);
        put(tree, "w", "1");
      }
      await driver.put(id);
      using tree = RootedDir.open(await driver.get(id, { access: "read-only" }));
      assert.equal(tree.stat(at("w"))?.size, 1);
      assert.throws(() => put(tree, "new", "1"), /EROFS/);
    });
  }
}

async function missingLayer({ driver }: DriverContext): Promise<void> {
  const id = randomCacheId();
  assert.equal(driver.exists(id), false);
  await assert.rejects(async () => await driver.get(id), (error) => hasCode(error, "NOT_FOUND"));
  await assert.rejects(
    async () => await driver.createReadWrite(randomCacheId(), id),
    (error) => hasCode(error, "NOT_FOUND"),
  );
  await assert.rejects(async () => await driver.diffGetter([driver.locate(id)]), isStrataError);
  await assert.rejects(async () => await driver.view([driver.locate(id)]), isStrataError);
  await driver.put(id);
}

async function removesMounted(context: DriverContext): Promise<void> {
  const { driver } = context;
  const id = randomCacheId();
  await driver.createReadWrite(id, topId(await stackOf(context, [[file("a", "1")]])));
  const path = await driver.get(id);
  await driver.remove(id);
  assert.equal(driver.exists(id), false);
  assert.equal(pathExists(path), false);
}

async function removesTwice(context: DriverContext): Promise<void> {
  const { driver } = context;
  const id = topId(await stackOf(context, [[file("a", "1")]]));
  await driver.remove(id);
  await driver.remove(id);
  await driver.remove(randomCacheId());
  assert.equal(driver.exists(id), false);
}

async function removesOne(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const base = await stackOf(context, [[file("a", "1")]]);
  const one = await addLayer(driver, { archive: [file("b", "1")], below: base, work });
  const two = await addLayer(driver, { archive: [file("b", "2")], below: base, work });
  await driver.remove(topId(one));
  await assertMerged(context, two, { a: "1", b: "2" });
}

async function refusesOptions({ driver }: DriverContext): Promise<void> {
  const id = randomCacheId();
  await assert.rejects(
    async () => await driver.createReadWrite(id, undefined, { storageOptions: { colour: "1" } }),
    (error) => hasCode(error, "INVALID_ARGUMENT"),
  );
  assert.equal(driver.exists(id), false);
}

async function replacesNone(context: DriverContext): Promise<void> {
  const id = topId(await stackOf(context, [[file("a", "1")]]));
  await assert.rejects(
    async () => await context.driver.createReadWrite(id, undefined),
    (error) => hasCode(error, "CONFLICT"),
  );
}

async function metadata(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  const paths = Object.values(context.driver.metadata(topId(stack)));
  assert.notEqual(paths.length, 0);
  for (const path of paths) assert.match(path, /^\//);
}

function status({ driver }: DriverContext): void {
  for (const row of driver.status()) assert.deepEqual(row.map((cell) => typeof cell), ["string", "string"]);
}

async function cleansUp(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  await driver.get(topId(stack));
  const id = randomCacheId();
  await driver.createReadWrite(id, topId(stack));
  const path = await driver.get(id);
  using tree = RootedDir.open(path);
  put(tree, "c", "3");
  tree.close();
  await driver.cleanup();
  await driver.cleanup();
  assert.equal(listingAt(await driver.get(id)).length, 4);
  await driver.cleanup();
}

async function lists(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  const writable = randomCacheId();
  await driver.createReadWrite(writable, topId(stack));
  const expected = [...stack.map(({ cacheId }) => cacheId), writable].sort();
  assert.deepEqual(driver.list().map(({ cacheId }) => cacheId).sort(), expected);
  assert(driver.list().every(({ modifiedMs }) => Math.abs(Date.now() - modifiedMs) < 60_000));
}

async function replaces(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const archive = [dir("d"), file("d/a", "1")];
  const stack = await stackOf(context, [archive, [file("b", "2")]]);
  const [top, base] = stack;
  if (top === undefined || base === undefined) throw new Error("The stack is too low");
  const { path, kind } = driver.treeOf(base.cacheId, "writable");
  if (kind === "directory") inTree(path, (tree) => tree.removeTree(at("d")));
  const { sealed } = await stageLayer(driver, { archive, work, cacheId: base.cacheId, children: [top.cacheId] });
  await driver.replace(sealed);
  driver.syncHome();
  assert.deepEqual(driver.check(base.cacheId, []), []);
  assert.deepEqual(driver.check(top.cacheId, [base]), []);
  assert.deepEqual(driver.mountsOver(base.cacheId), []);
  await assertMerged(context, stack, { "d/": "", "d/a": "1", b: "2" });
}

async function checks(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
  for (const [index, { cacheId }] of stack.entries()) {
    assert.deepEqual(driver.check(cacheId, stack.slice(index + 1)), []);
    await driver.mend(cacheId, stack.slice(index + 1));
  }
  assert.deepEqual(driver.needsOf(topId(stack)), driver.parentsOf(topId(stack)).map(({ cacheId }) => cacheId));
  await driver.remove(topId(stack));
  const [fault] = driver.check(topId(stack), stack.slice(1));
  assert.equal(fault?.mending, "impossible");
}

async function hasNoDebris(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[file("a", "1")]]);
  await withWritable(context, stack, () => assert.deepEqual(driver.debris(), []));
  await driver.remove(topId(stack));
  assert.deepEqual(driver.debris(), []);
}
