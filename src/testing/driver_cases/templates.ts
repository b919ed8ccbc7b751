// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are made as copies of others.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromBytes, fromText } from "../../core/bytes.ts";
import { hasCode } from "../../core/errors.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { joinPath, ROOT } from "../../core/layer_path.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { TemplateOptions } from "../../driver/interfaces/proto_driver.ts";
import {
  device,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  opaque,
  renamed,
  symlink,
  whiteout,
} from "../layer_builder.ts";
import {
  at,
  bytesOf,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  keepsOwners,
  layerListing,
  listingAt,
  put,
  stackOf,
  topId,
} from "./case.ts";

const BYTES = new Uint8Array([0, 255, 10]);
const TIME = { sec: 1_234_567_890, nsec: 123_456_789 };
const RAW_NAME = joinPath(ROOT, fromBytes(new Uint8Array([0xff, 0x61])));

const BASE: readonly LayerMember[] = [
  renamed(dir("root", { mode: 0o711, mtime: TIME }), fromText("./")),
  dir("d", { mode: 0o1777, mtime: TIME }),
  file("d/a", "1", { mode: 0o640, xattrs: new Map([[fromText("user.strata"), BYTES]]) }),
  hardlink("d/b", "d/a"),
  dir("o"),
  file("o/old", "1"),
  file("e", "1"),
  file("f", "1"),
  file("g", "1", { mtime: TIME }),
  symlink("l", "d/a", { mtime: TIME }),
];

/** Of each thing that a layer can do to those below. */
const UPPER: readonly LayerMember[] = [
  whiteout("f"),
  opaque("o"),
  file("o/new", "2", { mtime: TIME }),
  hardlink("h", "g"),
  file("implied/x", "2"),
  renamed(file("raw", "2"), RAW_NAME),
];

/** What only root can keep. */
const PRIVILEGED: readonly LayerMember[] = [
  file("s", "1", { mode: 0o6755, uid: 1234, gid: 5678 }),
  hardlink("t", "s"),
  symlink("u", "s", { uid: 7, gid: 8 }),
  dir("v", { mode: 0o2770, uid: 7, xattrs: new Map([[fromText("trusted.strata"), BYTES]]) }),
  fifo("p"),
  device("w", { type: "char", devMajor: 1, devMinor: 3 }),
];

/** Cases about copies. */
export const templateCases: readonly DriverCase[] = [
  {
    name: "a copy of a layer is the same tree with the same changes, on a parent and without",
    run: (context) => copiesLayers(context, []),
  },
  {
    name: "a copy of a layer keeps owners, setuid, devices, pipes and privileged attributes",
    needs: keepsOwners,
    run: (context) => copiesLayers(context, PRIVILEGED),
  },
  { name: "a copy of a writable layer is the same tree, and each is written to by itself", run: copiesWritable },
  { name: "a copy of a writable layer without a parent is the same tree", run: copiesBare },
  { name: "a copy outlives its template, and can be a parent", run: outlives },
  { name: "a copy that cannot be made leaves nothing", run: leavesNothing },
];

async function copiesLayers(context: DriverContext, more: readonly LayerMember[]): Promise<void> {
  const stack = await stackOf(context, [[...BASE, ...more], [...UPPER, ...more]]);
  for (const [index, { cacheId: template }] of stack.entries()) {
    const parent = stack[index + 1]?.cacheId;
    for (const access of ["read-only", "writable"] as const) {
      await withCopy(context, { template, parent, access }, (id) => assertSame(context, { id, template, parent }));
    }
  }
}

interface CopiedLayer {
  readonly id: CacheId;
  readonly template: CacheId;
  readonly parent: CacheId | undefined;
}

/** By the view, mounted, by its changes and its tar, and told by another instance as well. */
async function assertSame(context: DriverContext, { id, template, parent }: CopiedLayer): Promise<void> {
  const { driver } = context;
  const listing = await layerListing(driver, template);
  assert.deepEqual(await layerListing(driver, id), listing);
  assert.deepEqual(listingAt(await driver.get(id)), listing, "the mounted copy differs from its template");
  await driver.put(id);
  assert.deepEqual(await context.reopen().changes(id, parent), await driver.changes(template, parent));
  assert.deepEqual(await bytesOf(driver.diff(id, parent)), await bytesOf(driver.diff(template, parent)));
}

/** A bit of everything that a container does. */
function work(tree: RootedDir): void {
  tree.removeTree(at("o"));
  tree.mkdir(at("o"), 0o750);
  put(tree, "o/made", "3");
  tree.link(at("o/made"), at("again"));
  tree.unlink(at("f"));
  tree.rename(at("g"), at("d/c"));
  tree.setXattr(at("d"), fromText("user.strata"), BYTES);
  tree.setMode(at("e"), 0o600);
  tree.setTimes(at("d"), { atime: TIME, mtime: TIME });
}

async function copiesWritable(context: DriverContext): Promise<void> {
  const { driver } = context;
  const parent = topId(await stackOf(context, [BASE]));
  await withWorked(context, parent, async (template) => {
    const before = await layerListing(driver, template);
    await withCopy(context, { template, parent, access: "writable" }, async (id) => {
      await assertSame(context, { id, template, parent });
      inTree(await driver.get(id), (tree) => {
        tree.setMode(at("o/made"), 0o600);
        tree.unlink(at("d/a"));
      });
      await driver.put(id);
      assert.deepEqual(await layerListing(driver, template), before, "writing to the copy reaches its template");
      const copied = await layerListing(driver, id);
      assert.notDeepEqual(copied, before);
      inTree(await driver.get(template), (tree) => put(tree, "d/c", "4"));
      await driver.put(template);
      assert.deepEqual(await layerListing(driver, id), copied, "writing to a template reaches its copy");
    });
  });
}

async function copiesBare(context: DriverContext): Promise<void> {
  const { driver } = context;
  const template = randomCacheId();
  await driver.createReadWrite(template, undefined);
  inTree(await driver.get(template), (tree) => {
    tree.mkdir(at("d"), 0o750);
    put(tree, "d/f", "1");
    tree.link(at("d/f"), at("h"));
    tree.setMode(ROOT, 0o711);
  });
  await driver.put(template);
  await withCopy(context, { template, parent: undefined, access: "writable" }, async (id) => {
    await assertSame(context, { id, template, parent: undefined });
  });
  await driver.remove(template);
}

async function outlives(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE, UPPER]);
  const parent = stack[1]?.cacheId;
  await withCopy(context, { template: topId(stack), parent, access: "read-only" }, async (id) => {
    const listing = await layerListing(driver, id);
    await driver.remove(topId(stack));
    const child = randomCacheId();
    await driver.createReadWrite(child, id);
    assert.deepEqual(listingAt(await driver.get(child)), listing);
    await driver.put(child);
    assert.deepEqual(changeLines(await driver.changes(child, id)), []);
    await driver.remove(child);
    assert.deepEqual(await layerListing(driver, id), listing);
  });
}

async function leavesNothing(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE, UPPER]);
  const [template, parent] = [topId(stack), stack[1]?.cacheId];
  const attempts: readonly (readonly [Partial<TemplateOptions>, "NOT_FOUND" | "CONFLICT", CacheId?])[] = [
    [{ template: randomCacheId() }, "NOT_FOUND"],
    [{ parent: randomCacheId() }, "NOT_FOUND"],
    [{}, "CONFLICT", template],
  ];
  const before = driver.list().map(({ cacheId }) => cacheId);
  for (const [other, code, id = randomCacheId()] of attempts) {
    await assert.rejects(
      async () => await driver.createFromTemplate(id, { template, parent, access: "read-only", ...other }),
      (error) => hasCode(error, code),
    );
  }
  // Whoever has given up says so at an object that is to be copied; drivers that share objects need not ask.
  const [id, givenUp] = [randomCacheId(), new Error("The caller has given up")];
  let objects = 0;
  const onEntry = () => {
    if (++objects === 3) throw givenUp;
  };
  const made = (async () => await driver.createFromTemplate(id, { template, parent, access: "writable", onEntry }))();
  if (await made.then(() => true, () => false)) await driver.remove(id);
  assert.equal(driver.exists(id), false);
  assert.deepEqual(driver.list().map(({ cacheId }) => cacheId), before);
  assert.deepEqual(driver.debris(), []);
}

/** Calls with a writable layer in which somebody has worked. */
async function withWorked(
  { driver }: DriverContext,
  parent: CacheId,
  use: (id: CacheId) => Promise<void>,
): Promise<void> {
  const id = randomCacheId();
  await driver.createReadWrite(id, parent);
  try {
    inTree(await driver.get(id), work);
    await driver.put(id);
    await use(id);
  } finally {
    await driver.remove(id);
  }
}

async function withCopy(
  { driver }: DriverContext,
  options: TemplateOptions,
  use: (id: CacheId) => Promise<void>,
): Promise<void> {
  const id = randomCacheId();
  await driver.createFromTemplate(id, options);
  try {
    await use(id);
  } finally {
    await driver.remove(id);
  }
}
