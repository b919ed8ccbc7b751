// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { lstatSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { IDENTITY, type IdMappings, parseIdMap } from "../../../src/core/id_map.ts";
import { type CacheId, randomCacheId } from "../../../src/core/ids.ts";
import { completeDriver } from "../../../src/driver/naive/complete_driver.ts";
import { naiveLayerIdMapUpdater } from "../../../src/driver/naive/naive_id_maps.ts";
import type { Driver } from "../../../src/driver/driver.ts";
import type { DriverSpec } from "../../../src/driver/interfaces/driver_spec.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { runCommand } from "../../../src/host/command.ts";
import { at, changeLines, inTree, put, stackOf, topId } from "../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../src/testing/driver_suite.ts";
import { dir, file, hardlink, type LayerMember, symlink } from "../../../src/testing/layer_builder.ts";
import { listingOf } from "../../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { IS_ROOT } from "../../host/scratch.ts";
import { partsOf } from "../../support/driver_parts.ts";
import { bytesOf } from "../../support/scratch_store.ts";
import { readMembers } from "../../support/tar_reading.ts";
import example from "../example_driver.ts";

const MAPS = mappings("0:1000:65536");
const OTHER = mappings("0:300000:65536");

const BASE: readonly LayerMember[] = [
  dir("d", { uid: 1000, gid: 5 }),
  file("d/a", "a", { uid: 1000, gid: 1000, mode: 0o6755 }),
  hardlink("d/b", "d/a"),
  file("d/m", "m", { gid: 1000 }),
  symlink("s", "d", { uid: 7 }),
  file("gone", "", { uid: 3 }),
];

const notRoot = IS_ROOT ? undefined : "only root may give files away";

/** Drivers that know nothing of id maps, completed. */
const DRIVERS = [
  { name: "plain", skip: notRoot, open: example.open },
  { name: "vfs", skip: notRoot, open: completed },
  { name: "overlay2", skip: notRoot ?? await probeOverlay(tmpdir()), open: completed },
];

function completed(spec: DriverSpec) {
  return completeDriver(partsOf(openDriver(spec), {}));
}

function mappings(text: string): IdMappings {
  return { uids: parseIdMap(text), gids: parseIdMap(text) };
}

/** A layer, what it lies on, and how large its changes are. */
interface EditedLayer {
  readonly id: CacheId;
  readonly parent: CacheId;
  readonly sizeBytes: number;
}

/** A writable layer with one change of each kind. */
async function edited(context: DriverContext): Promise<EditedLayer> {
  const parent = topId(await stackOf(context, [BASE]));
  const id = randomCacheId();
  await context.driver.createReadWrite(id, parent);
  inTree(await context.driver.get(id), (tree) => {
    put(tree, "new", "new");
    tree.setOwner(at("new"), 9, 9);
    tree.unlink(at("gone"));
    tree.setMode(at("d/m"), 0o4700);
  });
  await context.driver.put(id);
  return { id, parent, sizeBytes: await context.driver.diffSize(id, parent) };
}

const CHANGES = ["C /", "C /d", "C /d/m", "D /gone", "A /new"];

async function listed({ driver }: Pick<DriverContext, "driver">, id: CacheId): Promise<readonly string[]> {
  await using view = await driver.view([driver.locate(id)]);
  return listingOf(view);
}

/** What the driver and a reopened one tell of a layer. */
async function assertChanges(
  context: DriverContext,
  { id, parent, sizeBytes }: EditedLayer,
): Promise<void> {
  for (const driver of [context.driver, context.reopen()]) {
    assert.deepEqual(changeLines(await driver.changes(id, parent)), CHANGES);
    assert.equal(await driver.diffSize(id, parent), sizeBytes);
    const packed = readMembers(await bytesOf(driver.diff(id, parent)));
    const owners = packed.map(({ entry: { name, uid, gid } }) => `${name} ${uid}:${gid}`);
    assert.ok(owners.includes("new 9:9") && owners.includes("d/m 0:1000"), owners.join());
  }
}

function notesOf({ driver }: DriverContext): readonly string[] {
  return readdirSync(join(driver.spec.home, ".strata-id-maps"));
}

for (const { name, skip, open } of DRIVERS) {
  describe(`id maps of ${name}, completed`, { skip: skip ?? false }, () => {
    const onScratch = (title: string, run: (context: DriverContext) => Promise<void>) =>
      it(title, () => withScratchDriver({ name, open }, run));

    onScratch("finds the same changes after every change of owners", async (context) => {
      const { driver } = context;
      const layer = await edited(context);
      await assertChanges(context, layer);
      const before = await listed(context, layer.id);
      for (const [from, to] of [[IDENTITY, MAPS], [MAPS, OTHER], [OTHER, IDENTITY], [IDENTITY, MAPS]] as const) {
        await driver.updateLayerIdMap(layer.id, { from, to });
        assert.deepEqual(await context.reopen().idMappingsOf(layer.id), to);
        assert.deepEqual(await listed({ driver: context.reopen() }, layer.id), before);
        await assertChanges(context, layer);
      }
      assert.equal(lstatSync(join(await driver.get(layer.id), "d/a")).uid, 2000);
      await driver.put(layer.id);
      assert.deepEqual(notesOf(context), [layer.id]);
      await driver.remove(layer.id);
      assert.deepEqual(notesOf(context), []);
      assert.deepEqual(driver.debris(), []);
    });

    onScratch("copies mapped templates, for the same ids and for others", async (context) => {
      const { driver } = context;
      const { id: template, parent, sizeBytes } = await edited(context);
      await driver.updateLayerIdMap(template, { from: IDENTITY, to: MAPS });
      const before = await listed(context, template);
      for (const idMappings of [undefined, OTHER, IDENTITY]) {
        const id = randomCacheId();
        await driver.createFromTemplate(id, {
          template,
          parent,
          access: "writable",
          ...(idMappings && { idMappings }),
        });
        assert.deepEqual(await driver.idMappingsOf(id), idMappings ?? MAPS);
        assert.deepEqual(await listed(context, id), before);
        await assertChanges(context, { id, parent, sizeBytes });
      }
      assert.deepEqual(await listed(context, template), before);
    });

    onScratch("makes layers for other ids, and layers on mapped ones for theirs", async (context) => {
      const { driver } = context;
      const parent = topId(await stackOf(context, [BASE]));
      const [mapped, child, empty] = [randomCacheId(), randomCacheId(), randomCacheId()];
      await driver.createReadWrite(mapped, parent, { idMappings: MAPS });
      await driver.createReadWrite(child, mapped);
      await driver.createReadWrite(empty, undefined, { idMappings: OTHER });
      for (const id of [mapped, child]) {
        assert.deepEqual(await driver.idMappingsOf(id), MAPS);
        assert.equal(lstatSync(join(await driver.get(id, { idMappings: MAPS }), "d/a")).uid, 2000);
        await driver.put(id);
        assert.deepEqual(await driver.changes(id, parent), []);
      }
      assert.equal(lstatSync(await driver.get(empty)).uid, 300_000);
      assert.deepEqual(await driver.changes(empty, undefined), [{ path: "", kind: "modify" }]);
    });

    onScratch("shows a layer under no other ids than it has", async ({ driver }) => {
      const id = randomCacheId();
      await driver.createReadWrite(id, undefined);
      const isRefused = (error: unknown) => hasCode(error, "INVALID_ARGUMENT");
      await assert.rejects(async () => await driver.get(id, { idMappings: MAPS }), isRefused);
      await assert.rejects(async () => await driver.updateLayerIdMap(id, { from: MAPS, to: OTHER }), isRefused);
      assert.equal(await driver.supportsShifting(MAPS), "no");
    });

    onScratch("changes nothing for an owner that the maps do not hold", async (context) => {
      const { driver } = context;
      const { id, parent } = await edited(context);
      inTree(await driver.get(id), (tree) => tree.setOwner(at("new"), 70_000, 9));
      await driver.put(id);
      const before = await listed(context, id);
      await assert.rejects(
        async () => await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS }),
        (error) => hasCode(error, "INVALID_ARGUMENT"),
      );
      assert.deepEqual(await listed(context, id), before);
      assert.deepEqual(changeLines(await driver.changes(id, parent)), CHANGES);
      assert.deepEqual(driver.check(id, []), []);
    });
  });
}

describe("a change of owners that did not come to its end", { skip: notRoot ?? false }, () => {
  // In the order of the walk. Of the first, nothing has changed yet, and of the last, all else has.
  for (const [which, name, changed] of [["first", ".", 1000], ["last", "z", 2000]] as const) {
    it(`leaves a layer that is refused, and can be removed: it failed at the ${which} object`, async () => {
      await withScratchDriver({ name: "plain", open: example.open }, async (context) => {
        const { driver } = context;
        const { id, parent } = await edited(context);
        const path = await driver.get(id);
        writeFileSync(join(path, "z"), "");
        const stubborn = join(path, name);
        assert.equal((await runCommand("chattr", ["+i", stubborn])).code, 0, "chattr");
        try {
          await assert.rejects(async () => await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS }), /EPERM/);
        } finally {
          await runCommand("chattr", ["-i", stubborn]);
        }
        assert.equal(lstatSync(join(path, "d/a")).uid, changed);
        for (const seen of [driver, context.reopen()]) await assertRefused(seen, { id, parent });
        await driver.remove(id);
        assert.deepEqual([driver.debris(), driver.check(parent, [])], [[], []]);
      });
    });
  }

  it("keeps its note apart from the driver, for who uses it alone", async () => {
    await withScratchDriver({ name: "plain", open: example.open }, async ({ driver }) => {
      const id = randomCacheId();
      await driver.createReadWrite(id, undefined);
      const maps = naiveLayerIdMapUpdater(driver);
      await maps.updateLayerIdMap(id, { from: IDENTITY, to: MAPS });
      assert.equal(lstatSync(await driver.get(id)).uid, 1000);
      assert.deepEqual(await maps.idMappingsOf(id), MAPS);
      maps.forget(id);
      assert.deepEqual(await maps.idMappingsOf(id), IDENTITY);
    });
  });
});

async function assertRefused(
  driver: Driver,
  { id, parent }: Pick<EditedLayer, "id" | "parent">,
): Promise<void> {
  const isCorrupt = (error: unknown) => hasCode(error, "CORRUPT");
  await assert.rejects(async () => await driver.idMappingsOf(id), isCorrupt);
  await assert.rejects(async () => await driver.changes(id, parent), isCorrupt);
  await assert.rejects(async () => await driver.createReadWrite(randomCacheId(), id), isCorrupt);
  await assert.rejects(async () => await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS }), isCorrupt);
  assert.deepEqual(driver.check(id, []).map(({ mending }) => mending), ["impossible"]);
}
