// SPDX-License-Identifier: Apache-2.0
/**
 * Trees given to mapped owners, as containers/storage does it; and mounts that map owners, on the file systems of servers.
 *
 * Left out is what containers/storage does otherwise by mistake: it takes names of one character for the root directory,
 * leaves owners alone that equal the host id of the container's root, gives file capabilities back as the host root's, for
 * whom alone they then hold, and changes the time of directories in which linked files are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { lstatSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { IDENTITY, type IdMappings, parseIdMap } from "../../src/core/id_map.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { topId } from "../../src/testing/driver_cases/case.ts";
import { addLayer, dir, fifo, file, hardlink, layerTar, symlink } from "../../src/testing/layer_builder.ts";
import { listingOf } from "../../src/testing/tree_listing.ts";
import { withScratchDriver } from "../conformance/scratch_driver.ts";
import { type InteropOptions, needsPrograms } from "../support/interop.ts";
import { mountLoop, needsLoop } from "../support/loop_file_system.ts";

const MAP = "0:300000:60000:60000:400000:5536";
const MAPS: IdMappings = { uids: parseIdMap(MAP), gids: parseIdMap(MAP) };

/** A link repeats its file's header, since containers/storage gives it to the file once more. */
const SET = { uid: 1000, gid: 1000, mode: 0o6755 };

const LAYER = layerTar([
  dir("dir", { uid: 10, gid: 20, mode: 0o2755 }),
  file("set", "set", SET),
  file("dir/far", "", { uid: 60001, gid: 65535 }),
  { ...hardlink("link", "set"), ...SET },
  { ...hardlink("other", "set"), ...SET },
  symlink("soft", "set", { uid: 5, gid: 6 }),
  fifo("pipe", { uid: 7 }),
  file("root-owned", ""),
]);

function options(): InteropOptions {
  return process.geteuid?.() === 0 ? needsPrograms("containers-storage") : { skip: "owners need root" };
}

/** Runs containers-storage on a store of its own, and gives the last line it writes. */
function runner(root: string): (...args: string[]) => string {
  return (...args) => {
    const place = ["--graph", join(root, "graph"), "--run", join(root, "run"), "--storage-driver", "vfs"];
    const { status, stdout, stderr } = spawnSync("containers-storage", [...place, ...args], { encoding: "utf8" });
    assert.equal(status, 0, `containers-storage ${args.join(" ")}: ${stderr}`);
    return stdout.trim().split("\n").at(-1) ?? "";
  };
}

/** What a directory shows, but for its own owner and time, which containers/storage leaves to the driver. */
function listingBelow(path: string): readonly string[] {
  using view = new PlainView(RootedDir.open(path));
  return listingOf(view).slice(1);
}

function theirListing(): readonly string[] {
  const root = mkdtempSync(join(tmpdir(), "strata-cs-"));
  try {
    const run = runner(root);
    writeFileSync(join(root, "layer.tar"), LAYER);
    run("import-layer", "--id", "base", "--file", join(root, "layer.tar"));
    run("create-layer", "--id", "mapped", "--uidmap", MAP, "--gidmap", MAP, "base");
    return listingBelow(run("mount", "mapped"));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe("chownTreeByMaps beside containers-storage", options(), () => {
  it("gives a layer's tree to the same owners, and keeps the same of it", async () => {
    const expected = theirListing();
    assert.equal(expected.length, 8);
    await withScratchDriver("vfs", async ({ driver, work }) => {
      const stack = await addLayer(driver, { archive: LAYER, work });
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack));
      await driver.updateLayerIdMap(id, { from: IDENTITY, to: MAPS });
      assert.deepEqual(listingBelow(await driver.get(id)), expected);
    });
  });
});

for (const type of ["ext4", "xfs", "btrfs"] as const) {
  it(`maps layers by mounts on ${type}`, needsLoop(type), async () => {
    using fileSystem = mountLoop(type);
    await withScratchDriver({ name: "overlay2", dir: fileSystem.path }, async ({ driver, work }) => {
      assert.equal(await driver.supportsShifting(MAPS), "yes");
      const stack = await addLayer(driver, { archive: LAYER, work });
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(stack), { idMappings: MAPS });
      assert.equal(lstatSync(join(await driver.get(id), "dir/far")).uid, 400001);
      await driver.put(id);
      assert.deepEqual(driver.debris(), []);
    });
  });
}
