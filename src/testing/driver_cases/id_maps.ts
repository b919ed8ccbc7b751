// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are given to other owners, for containers with users of their own.
 *
 * What other tools have got wrong is asked by name: a user whose number is that of the container's root on the host (left as
 * it was, so that it became root), and names of one character (left out).
 *
 * @module
 */
import assert from "node:assert/strict";
import { MappedDir } from "../../changeset/mapped_dir.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import { fromText } from "../../core/bytes.ts";
import { hasCode } from "../../core/errors.ts";
import { containerShift, IDENTITY, type IdMappings } from "../../core/id_map.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { dir, file, hardlink, type LayerMember, renamed, symlink, whiteout } from "../layer_builder.ts";
import { listingOf } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  keepsOwners,
  layerListing,
  MountedDir,
  put,
  stackOf,
  topId,
} from "./case.ts";

/** The host's 1000 is the container's root, and the container's 1000 is the host's 2000. */
const MAPS = mapsTo(1000);
const OTHER = mapsTo(300_000);
/** These hold few. */
const FEW: IdMappings = { uids: [{ containerId: 0, hostId: 5000, size: 10 }], gids: MAPS.gids };

const CAPABILITY = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const NAMES_OF_ONE = ["a", "b", "c", "x", "~"];
const TIME = { sec: 1_234_567_890, nsec: 123_456_789 };

const LAYERS: readonly (readonly LayerMember[])[] = [
  [
    renamed(dir("root", { uid: 3, gid: 4, mode: 0o1755 }), fromText("./")),
    ...NAMES_OF_ONE.map((name, index) => file(name, name, { uid: index === 0 ? 1000 : index, gid: 1000, mtime: TIME })),
    dir("d", { uid: 1000, gid: 5, mode: 0o2770, mtime: TIME }),
    file("d/set", "1", { uid: 1000, gid: 1000, mode: 0o6755 }),
    hardlink("d/e", "d/set"),
    file("d/capable", "1", { uid: 7, mode: 0o755, xattrs: new Map([[fromText("security.capability"), CAPABILITY]]) }),
    symlink("l", "d", { uid: 1000, gid: 1000, mtime: TIME }),
    file("gone", "", { uid: 9 }),
  ],
  [whiteout("gone"), hardlink("h", "c"), file("u/f", "2", { gid: 1000, mode: 0o4711 }), file("v/f", "2")],
];

/** Whose what is on the host, under {@link MAPS}. */
const OWNERS: Readonly<Record<string, readonly [number, number]>> = {
  a: [2000, 2000],
  b: [1001, 2000],
  "~": [1004, 2000],
  d: [2000, 1005],
  "d/set": [2000, 2000],
  "d/e": [2000, 2000],
  h: [1002, 2000],
  l: [2000, 2000],
  "u/f": [1000, 2000],
  new: [1000, 1000],
  n: [2000, 1007],
};

const CHANGES = ["C /", "C /d", "C /d/capable", "A /n", "A /new", "D /v", "D /x"];

/** Cases about owners. */
export const idMapCases: readonly DriverCase[] = [
  {
    name: "other owners change nothing else of a layer, and no layer below",
    needs: keepsOwners,
    run: changesOwnersOnly,
  },
  { name: "owners are changed again and back", needs: keepsOwners, run: thereAndBack },
  { name: "owners that maps do not hold, and wrong maps, change nothing", needs: keepsOwners, run: refuses },
  { name: "what is made of a mapped layer is mapped, or as it is asked for", needs: keepsOwners, run: inherits },
  { name: "a layer that does not exist has no owners", run: missing },
];

async function changesOwnersOnly(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWorked(context, async (id, parent) => {
    const [before, below] = [await layerListing(driver, id), await layerListing(driver, parent)];
    await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS });
    await assertMapped(context, id, { maps: MAPS, listing: before });
    inTree(await driver.get(id), (tree) => {
      for (const [name, owner] of Object.entries(OWNERS)) {
        const stat = tree.stat(at(name));
        assert.deepEqual([stat?.uid, stat?.gid], owner, name);
      }
      for (const [name, other] of [["d/e", "d/set"], ["h", "c"]] as const) {
        assert.equal(tree.stat(at(name))?.ino, tree.stat(at(other))?.ino, `"${name}" is no link to "${other}"`);
      }
      assert.equal(tree.stat(at("d/set"))?.mode, 0o6755);
      assert.equal(tree.stat(ROOT)?.uid, 1003);
    });
    await driver.put(id);
    for (const one of [driver, context.reopen()]) assert.deepEqual(changeLines(await one.changes(id, parent)), CHANGES);
    assert.deepEqual(await layerListing(driver, parent), below);
    assert.deepEqual(await driver.idMappingsOf(parent), IDENTITY);
  });
}

async function thereAndBack(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWorked(context, async (id, parent) => {
    const listing = await layerListing(driver, id);
    for (const [from, to] of [[IDENTITY, MAPS], [MAPS, OTHER], [OTHER, OTHER], [OTHER, IDENTITY]] as const) {
      await driver.updateLayerIdMap(id, { from, to });
      await assertMapped(context, id, { maps: to, listing });
      assert.deepEqual(changeLines(await driver.changes(id, parent)), CHANGES);
    }
  });
}

async function refuses(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWorked(context, async (id, parent) => {
    const listing = await layerListing(driver, id);
    const isRefused = (error: unknown) => hasCode(error, "INVALID_ARGUMENT");
    for (const [from, to] of [[IDENTITY, FEW], [MAPS, OTHER]] as const) {
      await assert.rejects(async () => await driver.updateLayerIdMap(id, { from, to }), isRefused);
      await assertMapped(context, id, { maps: IDENTITY, listing });
    }
    assert.deepEqual(changeLines(await driver.changes(id, parent)), CHANGES);
  });
}

async function inherits(context: DriverContext): Promise<void> {
  const { driver } = context;
  await withWorked(context, async (mapped, parent) => {
    const listing = await layerListing(driver, mapped);
    await driver.updateLayerIdMap(mapped, { from: IDENTITY, to: MAPS });
    const made: CacheId[] = [];
    try {
      for (const maps of [MAPS, await shiftable(context, OTHER) ? OTHER : MAPS]) {
        const id = randomCacheId();
        const idMappings = maps === MAPS ? {} : { idMappings: maps };
        await driver.createFromTemplate(id, { template: mapped, parent, access: "writable", ...idMappings });
        made.push(id);
        await assertMapped(context, id, { maps, listing });
        assert.deepEqual(changeLines(await driver.changes(id, parent)), CHANGES);
      }
      const child = randomCacheId();
      await driver.createReadWrite(child, mapped);
      made.push(child);
      await assertMapped(context, child, { maps: MAPS, listing });
      assert.deepEqual(await driver.changes(child, mapped), []);
    } finally {
      for (const id of made.reverse()) await driver.remove(id);
    }
  });
}

async function missing({ driver }: DriverContext): Promise<void> {
  const id = randomCacheId();
  const isMissing = (error: unknown) => hasCode(error, "NOT_FOUND");
  await assert.rejects(async () => await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS }), isMissing);
  await assert.rejects(async () => await driver.idMappingsOf(id), isMissing);
}

/** Whether a layer can be made for other ids at once: by its mount, or since it is its whole tree. */
async function shiftable({ driver }: DriverContext, maps: IdMappings): Promise<boolean> {
  return await driver.supportsShifting(maps) === "yes" ||
    driver.treeOf(randomCacheId(), "read-only").kind === "directory";
}

/** By the view, and mounted, where the files belong to those whom the maps say. */
async function assertMapped(
  context: DriverContext,
  id: CacheId,
  { maps, listing }: { readonly maps: IdMappings; readonly listing: readonly string[] },
): Promise<void> {
  const { driver } = context;
  for (const one of [driver, context.reopen()]) {
    assert.deepEqual(await one.idMappingsOf(id), maps);
    assert.deepEqual(await layerListing(one, id), listing);
  }
  {
    using view = new PlainView(new MappedDir(MountedDir.open(await driver.get(id)), { shift: containerShift(maps) }));
    assert.deepEqual(listingOf(view), listing, "the mounted tree belongs to others");
  }
  await driver.put(id);
}

/** Calls with a writable layer in which a container's root and another user have worked, and its parent. */
async function withWorked(
  context: DriverContext,
  use: (id: CacheId, parent: CacheId) => Promise<void>,
): Promise<void> {
  const { driver } = context;
  const parent = topId(await stackOf(context, LAYERS));
  const id = randomCacheId();
  await driver.createReadWrite(id, parent);
  try {
    inTree(await driver.get(id), (tree) => {
      put(tree, "new", "3");
      put(tree, "n", "3");
      tree.setOwner(at("n"), 1000, 7);
      tree.setMode(at("n"), 0o4755);
      tree.unlink(at("x"));
      tree.removeTree(at("v"));
      tree.setXattr(at("d/capable"), fromText("user.strata"), CAPABILITY);
    });
    await driver.put(id);
    await use(id, parent);
  } finally {
    await driver.remove(id);
  }
}

function mapsTo(hostId: number): IdMappings {
  const map = [{ containerId: 0, hostId, size: 65_536 }];
  return { uids: map, gids: map };
}
