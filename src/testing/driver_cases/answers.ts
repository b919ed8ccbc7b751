// SPDX-License-Identifier: Apache-2.0
/**
 * What drivers answer: sizes that are the files', changes in one order, diffs against any layer, and a clear no instead of
 * another layer's answer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import { addLayer, dir, file, type LayerMember, layerTar, whiteout } from "../layer_builder.ts";
import { shapeOf } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";
import { fromText } from "../../core/bytes.ts";

/** Cases about answers. */
export const answerCases: readonly DriverCase[] = [
  { name: "an applied diff's size is that of the files it brings", run: appliedSize },
  { name: "what a layer occupies counts files and symlinks once, and every object", run: diskUsage },
  { name: "changes are sorted bytewise by their whole paths", run: sortsChanges },
  { name: "a diff against a layer further below, applied to that, gives the same tree", run: againstAncestor },
  { name: "a diff against a layer aside, applied to that, gives the same tree", run: againstSibling },
  { name: "a parent that does not exist is not taken for another", run: missingParent },
  { name: "a layer that does not exist is not described and not measured", run: missingLayer },
  { name: "layers that nobody writes to take no storage options", run: refusesLimits },
  {
    name: "who wants to write to a layer that is mounted for reading can, or is refused",
    needs: ({ readOnlyMounts, mounts }) => readOnlyMounts === "enforced" && mounts === "yes",
    run: writesOrIsRefused,
  },
];

const isMissing = (error: unknown) => hasCode(error, "NOT_FOUND");

async function appliedSize(context: DriverContext): Promise<void> {
  const { driver } = context;
  const parent = topId(await stackOf(context, [[file("a", "12345"), dir("d"), file("d/b", "123")]]));
  const [id, members] = [randomCacheId(), [file("c", "1234567"), file("a", "12"), dir("e"), whiteout("d/b")]];
  await driver.create(id, parent);
  const stream = new Blob([layerTar(members).slice()]).stream();
  assert.equal(await driver.applyDiff(id, parent, { kind: "tar", stream }), 9);
  assert.equal(await driver.diffSize(id, parent), 9);
  await driver.remove(id);
}

async function diskUsage(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWritable(context, [], async ({ id, path }) => {
    inTree(path, (tree) => {
      tree.mkdir(at("d"), 0o755);
      put(tree, "d/f", "12345");
      tree.link(at("d/f"), at("again"));
      tree.symlink(at("l"), fromText("d/f"));
      tree.mknod(at("p"), { type: "fifo", mode: 0o644 });
    });
    await driver.put(id);
    const usage = await driver.readWriteDiskUsage(id);
    assert.deepEqual(usage, { bytes: 5 + 3, inodes: 5 }, "root, directory, file, symlink and pipe");
    await withWritable(context, stackIn(driver, id), async (above) => {
      await driver.put(above.id);
      assert.deepEqual(await driver.readWriteDiskUsage(id), usage, "a layer above is counted");
    });
  });
}

async function sortsChanges(context: DriverContext): Promise<void> {
  const { driver } = context;
  const names = ["d", "d-a", "d.a", "d/a", "d/a-", "d/a/z", "d0", "é"];
  const isDir = (name: string) => names.some((other) => other.startsWith(`${name}/`));
  const members = names.map((name) => isDir(name) ? dir(name) : file(name));
  const below = await stackOf(context, [[]]);
  const stack = await addLayer(driver, { archive: members, below, work: context.work });
  const changes = changeLines(await driver.changes(topId(stack), topId(below)));
  assert.deepEqual(
    changes.filter((line) => line !== "C /"),
    names.map((name) => `A /${String.fromCharCode(...new TextEncoder().encode(name))}`),
  );
}

const LAYERS: readonly (readonly LayerMember[])[] = [
  [dir("d"), file("d/a", "1"), file("d/b", "1"), file("same", "1")],
  [whiteout("d/a"), file("d/c", "2")],
  [file("d/b", "3"), dir("e"), file("e/x", "3")],
];

async function againstAncestor(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, LAYERS);
  const base = stack.at(-1)?.cacheId;
  if (base === undefined) throw new Error("The stack is too low");
  await assertDiffLeadsTo(context, { from: base, to: topId(stack) });
  await assertDiffLeadsTo(context, { from: topId(stack), to: base });
}

async function againstSibling(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const [base = [], one = [], two = []] = LAYERS;
  const below = await stackOf(context, [base]);
  const left = await addLayer(driver, { archive: one, below, work });
  const right = await addLayer(driver, { archive: two, below, work });
  await assertDiffLeadsTo(context, { from: topId(left), to: topId(right) });
}

/** Whatever the two are to each other. */
async function assertDiffLeadsTo(
  context: DriverContext,
  { from, to }: { readonly from: CacheId; readonly to: CacheId },
): Promise<void> {
  const { driver } = context;
  const id = randomCacheId();
  await driver.create(id, from);
  try {
    await driver.applyDiff(id, from, { kind: "tar", stream: driver.diff(to, from) });
    const shape = (layer: CacheId) => inView(context, stackIn(driver, layer), shapeOf);
    assert.deepEqual(await shape(id), await shape(to));
  } finally {
    await driver.remove(id);
  }
}

async function missingParent(context: DriverContext): Promise<void> {
  const { driver } = context;
  const [id, missing] = [topId(await stackOf(context, LAYERS)), randomCacheId()];
  await assert.rejects(async () => await driver.changes(id, missing), isMissing);
  await assert.rejects(async () => await driver.diffSize(id, missing), isMissing);
  await assert.rejects(() => new Response(driver.diff(id, missing)).arrayBuffer(), isMissing);
}

async function missingLayer({ driver }: DriverContext): Promise<void> {
  const id = randomCacheId();
  await assert.rejects(async () => await driver.readWriteDiskUsage(id), isMissing);
  await assert.rejects(async () => await driver.metadata(id), isMissing);
  assert.deepEqual(driver.mountsOver(id), []);
}

async function refusesLimits(context: DriverContext): Promise<void> {
  const { driver } = context;
  const template = topId(await stackOf(context, LAYERS));
  const storageOptions = { size: "8M" };
  const isRefused = (error: unknown) => hasCode(error, "INVALID_ARGUMENT") || hasCode(error, "NOT_SUPPORTED");
  const id = randomCacheId();
  await assert.rejects(async () => await driver.create(id, template, { storageOptions }), isRefused);
  const copy = { template, parent: undefined, access: "read-only", storageOptions } as const;
  await assert.rejects(async () => await driver.createFromTemplate(id, copy), isRefused);
  assert.equal(driver.exists(id), false);
}

async function writesOrIsRefused(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, LAYERS);
  const write = (path: string) => inTree(path, (tree: RootedDir) => put(tree, "new", "1"));
  await withWritable(context, stack, async ({ id }) => {
    await driver.put(id);
    const shown = await driver.get(id, { access: "read-only" });
    const again = await driver.get(id).catch((error: unknown) => {
      if (hasCode(error, "IN_USE")) return undefined;
      throw error;
    });
    if (again !== undefined) write(again);
    else assert.equal(inTree(shown, (tree) => tree.stat(at("same"))?.size), 1, "the refusal ended the mount");
    await driver.put(id);
    write(await driver.get(id));
  });
}
