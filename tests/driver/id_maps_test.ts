// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, linkSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MappedDir } from "../../src/changeset/mapped_dir.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { hasCode } from "../../src/core/errors.ts";
import { containerShift, IDENTITY, type IdMappings, parseIdMap } from "../../src/core/id_map.ts";
import { type CacheId, randomCacheId } from "../../src/core/ids.ts";
import type { LayerLocation } from "../../src/driver/interfaces/layer_sealer.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { tryShifting } from "../../src/driver/overlay/mounting/shifting.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { changeLines, type DriverContext, stackOf, topId } from "../../src/testing/driver_cases/case.ts";
import { dir, file, hardlink, type LayerMember, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { listingOf } from "../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../conformance/scratch_driver.ts";
import { IS_ROOT } from "../host/scratch.ts";
import { bytesOf, streamOf } from "../support/scratch_store.ts";
import { readMembers } from "../support/tar_reading.ts";

const MAPS = mappings("0:1000:65536");
const OTHER = mappings("0:300000:65536");
const ROOT_ONLY = "only root may give files away";

const LAYERS: readonly (readonly LayerMember[])[] = [
  [
    dir("d", { uid: 1000, gid: 5 }),
    file("d/a", "a", { uid: 1000, gid: 1000, mode: 0o6755 }),
    hardlink("d/b", "d/a"),
    symlink("s", "d", { uid: 7 }),
    file("gone", "", { uid: 3 }),
  ],
  [whiteout("gone"), file("implied/f", "", { gid: 9 }), hardlink("e", "d/a")],
];

const DRIVERS = [
  { name: "overlay2", skip: IS_ROOT ? await probeOverlay(tmpdir()) ?? false : ROOT_ONLY },
  { name: "vfs", skip: IS_ROOT ? false : ROOT_ONLY },
];

function mappings(text: string): IdMappings {
  return { uids: parseIdMap(text), gids: parseIdMap(text) };
}

async function viewed({ driver }: DriverContext, stack: readonly LayerLocation[]): Promise<readonly string[]> {
  await using view = await driver.view(stack);
  return listingOf(view);
}

/** What a layer shows, by the driver's view. */
async function layerListing(context: DriverContext, id: CacheId): Promise<readonly string[]> {
  const { driver } = context;
  return await viewed(context, [driver.locate(id), ...driver.parentsOf(id)]);
}

/** A tree of the host, under the ids of a container with these maps. */
function mountListing(path: string, maps: IdMappings): readonly string[] {
  using view = new PlainView(new MappedDir(RootedDir.open(path), { shift: containerShift(maps) }));
  return listingOf(view);
}

/** What a container might do; all of it as its root. */
function work(path: string, maps: IdMappings): void {
  const root = maps.uids[0]!.hostId;
  writeFileSync(`${path}/new`, "new");
  mkdirSync(`${path}/made`);
  linkSync(`${path}/new`, `${path}/made/again`);
  using tree = RootedDir.open(path);
  for (const { name } of tree.list(at("made"))) tree.setOwner(at(`made/${name}`), root, root);
  tree.setOwner(at("made"), root, root);
  chmodSync(`${path}/d/b`, 0o600);
  rmSync(`${path}/s`);
  renameSync(`${path}/implied/f`, `${path}/implied/g`);
}

const WORK_CHANGES = ["C /", "C /d", "C /d/b", "C /implied", "D /implied/f", "A /implied/g"]
  .concat(["A /made", "A /made/again", "A /new", "D /s"]);

function at(path: string) {
  return path as Parameters<RootedDir["list"]>[0];
}

for (const { name, skip } of DRIVERS) {
  describe(`${name} and id maps`, { skip }, () => {
    /** The trees of {@link LAYERS}, from a driver that maps nothing. */
    async function reference(): Promise<readonly string[]> {
      let listing: readonly string[] = [];
      await withScratchDriver(name, async (context) => {
        listing = await viewed(context, await stackOf(context, LAYERS));
      });
      return listing;
    }

    it("keeps all layers under the maps that the driver is opened with, and tells of the archives' ids", async () => {
      const expected = await reference();
      const open = (spec: Parameters<typeof openDriver>[0]) => openDriver({ ...spec, idMappings: MAPS });
      await withScratchDriver({ name, open }, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, LAYERS);
        assert.deepEqual(await viewed(context, stack), expected);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack));
        const path = await driver.get(id);
        assert.deepEqual(mountListing(path, MAPS), expected);
        assert.deepEqual(driver.idMappingsOf(id), MAPS);
        assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), []);
        work(path, MAPS);
        assert.deepEqual(changeLines(await driver.changes(id, topId(stack))).sort(), WORK_CHANGES.toSorted());
        await driver.put(id);
        const bare = randomCacheId();
        await driver.createReadWrite(bare, undefined);
        assert.equal(lstatSync(await driver.get(bare)).uid, 1000);
      });
    });

    it("applies and gives diffs with their archives' owners", async () => {
      await withScratchDriver(name, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, LAYERS);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack), { idMappings: MAPS });
        const archive = layerTar([file("applied", "", { uid: 3, gid: 4 }), hardlink("linked", "d/a")]);
        await driver.applyDiff(id, topId(stack), { kind: "tar", stream: streamOf(archive) });
        const path = await driver.get(id);
        assert.deepEqual(["applied", "linked"].map((name) => lstatSync(join(path, name)).uid), [1003, 2000]);
        await driver.put(id);
        const packed = readMembers(await bytesOf(driver.diff(id, topId(stack))));
        const owners = packed.map(({ entry: { name, uid, gid } }) => `${name} ${uid}:${gid}`);
        assert.ok(owners.includes("applied 3:4") && owners.includes("linked 1000:1000"), owners.join());
      });
    });

    it("lets the container's root reach its tree", async () => {
      const open = (spec: Parameters<typeof openDriver>[0]) => openDriver({ ...spec, idMappings: MAPS });
      await withScratchDriver({ name, open, label: "" }, async (context) => {
        const { driver } = context;
        chmodSync(join(driver.spec.home, ".."), 0o711);
        const stack = await stackOf(context, LAYERS);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack));
        for (const layer of [id, topId(stack)]) {
          const read = spawnSync("cat", [join(await driver.get(layer), "implied/f")], { uid: 1000, gid: 1000 });
          assert.equal(read.status, 0, String(read.stderr));
          await driver.put(layer);
        }
      });
    });

    it("makes a writable layer for other ids on layers with their archives'", async () => {
      const expected = await reference();
      await withScratchDriver(name, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, LAYERS);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack), { idMappings: MAPS });
        const path = await driver.get(id);
        assert.deepEqual(mountListing(path, MAPS), expected);
        assert.deepEqual(await layerListing(context, id), expected);
        assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), []);
        work(path, MAPS);
        assert.deepEqual(changeLines(await driver.changes(id, topId(stack))).sort(), WORK_CHANGES.toSorted());
        assert.deepEqual(mountListing(path, MAPS), await layerListing(context, id));
        await driver.put(id);
        assert.deepEqual(mountListing(await driver.get(id), MAPS), await layerListing(context, id));
        await driver.put(id);
        assert.deepEqual(await viewed(context, stack), expected);
        // A layer on it is kept as it is.
        const child = randomCacheId();
        await driver.createReadWrite(child, id);
        assert.deepEqual(driver.idMappingsOf(child), MAPS);
        assert.deepEqual(mountListing(await driver.get(child), MAPS), await layerListing(context, id));
        await driver.put(child);
        await driver.remove(child);
        await driver.remove(id);
        assert.deepEqual(driver.debris(), []);
      });
    });

    it("gives a layer to other owners and back, and finds the same changes", async () => {
      await withScratchDriver(name, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, LAYERS);
        const id = randomCacheId();
        await driver.createReadWrite(id, topId(stack));
        work(await driver.get(id), mappings("0:0:65536"));
        await driver.put(id);
        const before = await layerListing(context, id);
        for (const [from, to] of [[IDENTITY, MAPS], [MAPS, OTHER], [OTHER, IDENTITY]] as const) {
          await driver.updateLayerIdMap(id, { from, to });
          assert.deepEqual(await layerListing(context, id), before);
          assert.deepEqual(mountListing(await driver.get(id), to), before);
          await driver.put(id);
          assert.deepEqual(changeLines(await driver.changes(id, topId(stack))).sort(), WORK_CHANGES.toSorted());
        }
      });
    });

    it("refuses maps that lack an owner, or that the layer does not have, and changes nothing", async () => {
      await withScratchDriver(name, async (context) => {
        const { driver } = context;
        const id = randomCacheId();
        await driver.createReadWrite(id, undefined);
        const path = await driver.get(id);
        writeFileSync(`${path}/f`, "");
        using tree = RootedDir.open(path);
        tree.setOwner(at("f"), 70000, 0);
        await driver.put(id);
        const remap = async (from: IdMappings, to: IdMappings) => await driver.updateLayerIdMap(id, { from, to });
        const isRefused = (error: unknown) => hasCode(error, "INVALID_ARGUMENT");
        await assert.rejects(remap(IDENTITY, MAPS), isRefused);
        await assert.rejects(remap(MAPS, OTHER), isRefused);
        assert.deepEqual([lstatSync(path).uid, lstatSync(`${path}/f`).uid], [0, 70000]);
        assert.deepEqual(driver.idMappingsOf(id), IDENTITY);
      });
    });

    it("copies a template for other ids", async () => {
      await withScratchDriver(name, async (context) => {
        const { driver } = context;
        const stack = await stackOf(context, LAYERS);
        const template = randomCacheId();
        await driver.createReadWrite(template, topId(stack), { idMappings: MAPS });
        work(await driver.get(template), MAPS);
        await driver.put(template);
        for (const idMappings of [undefined, OTHER, IDENTITY]) {
          const id = randomCacheId();
          const options = {
            template,
            parent: topId(stack),
            access: "writable",
            ...(idMappings && { idMappings }),
          } as const;
          await driver.createFromTemplate(id, options);
          assert.deepEqual(driver.idMappingsOf(id), idMappings ?? MAPS);
          const listing = await layerListing(context, template);
          assert.deepEqual(await layerListing(context, id), listing);
          assert.deepEqual(mountListing(await driver.get(id), idMappings ?? MAPS), listing);
          await driver.put(id);
          assert.deepEqual(changeLines(await driver.changes(id, topId(stack))).sort(), WORK_CHANGES.toSorted());
        }
      });
    });
  });
}

const { skip: overlaySkip } = DRIVERS[0]!;
const shiftingSkip = overlaySkip === false ? (await tryShifting(tmpdir(), MAPS)).refusal ?? false : overlaySkip;

describe("overlay2 maps layers by mounts", { skip: shiftingSkip }, () => {
  it("says so, and leaves what is on disk alone", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      assert.equal(await driver.supportsShifting(MAPS), "yes");
      const stack = await stackOf(context, LAYERS);
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack), { idMappings: MAPS });
      assert.equal(lstatSync(`${await driver.get(id)}/d/a`).uid, 2000);
      assert.equal(lstatSync(`${stack[1]!.dir}/diff/d/a`).uid, 1000);
      assert.deepEqual(readdirSync(`${driver.locate(id).dir}/diff`), []);
      const places = readdirSync(driver.spec.home).filter((name) => name.startsWith("."));
      assert.deepEqual(places, []);
    });
  });

  it("shows read-only layers under any ids, one after the other, also a single one", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, LAYERS);
      for (const location of [stack[0]!, stack[1]!]) {
        for (const [maps, owner] of [[MAPS, 2000], [OTHER, 301000], [undefined, 1000]] as const) {
          const path = await driver.get(location.cacheId, { ...(maps && { idMappings: maps }), access: "read-only" });
          assert.equal(lstatSync(join(path, "d/a")).uid, owner);
          assert.throws(() => writeFileSync(`${path}/x`, ""), { code: "EROFS" });
          await driver.put(location.cacheId);
        }
        assert.deepEqual(driver.idMappingsOf(location.cacheId), IDENTITY);
      }
    });
  });

  it("maps a high stack, whose names do not fit into a mount's options", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, Array.from({ length: 130 }, (_, n) => [file(`${n}`, "", { uid: n })]));
      const path = await driver.get(topId(stack), { idMappings: MAPS });
      for (const n of [0, 64, 129]) assert.equal(lstatSync(`${path}/${n}`).uid, 1000 + n);
      await driver.put(topId(stack));
    });
  });

  it("does not change a layer that is mounted, or lies below others", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, LAYERS);
      const remap = async (id: CacheId) => await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS });
      await assert.rejects(remap(topId(stack)), (error) => hasCode(error, "IN_USE"));
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      await driver.get(id);
      await assert.rejects(remap(id), (error) => hasCode(error, "IN_USE"));
      await driver.put(id);
      await remap(id);
    });
  });
});
