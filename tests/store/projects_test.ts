// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LayerStore } from "../../mod.ts";
import { projectIdOf, setProjectId } from "../../src/host/quota/project_id.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { mountLoop, whyNoLoop } from "../support/loop_file_system.ts";
import { bytesOf, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([
  dir("etc"),
  file("etc/motd", "hello\n"),
  dir("usr/bin"),
  symlink("bin", "usr/bin"),
  file("old"),
]);
/** Its `bin/tool` leads through the symlink below, so that it is unpacked twice; and it repeats a name. */
const UPPER = layerTar([
  dir("lib/deep"),
  file("lib/a", "1"),
  file("lib/a", "2"),
  file("bin/tool", "t"),
  whiteout("old"),
]);
const [AROUND, DATA, RECORDS] = [5, 7, 9];
const FULL = { mkfs: ["-O", "quota,project", "-E", "quotatype=prjquota"] };

for (const [type, options] of [["xfs", {}], ["ext4", FULL]] as const) {
  // Kernels without are nobody's fault, so these are skipped whatever is required.
  const having = { skip: whyNoLoop(type, options) ?? false };
  for (const driver of ["overlay2", "vfs"]) {
    describe(`a store on ${type} whose ${driver} layers are a project of their own`, having, () => {
      it("keeps all layers in it, however they come, and its records out of it", async () => {
        using fileSystem = mountLoop(type, options);
        const root = rootWith(fileSystem.path, { [layersOf(driver)]: DATA });
        await using store = await open(fileSystem.path, driver);
        const layers = await fill(store);
        for (const id of readdirSync(join(root, layersOf(driver)))) {
          if (id === "l" || id === "backingFsBlockDev") continue;
          assert.deepEqual(projectsIn(join(root, layersOf(driver), id)), new Set([DATA]), id);
        }
        for (const part of ["image", "strata"]) assert.deepEqual(projectsIn(join(root, part)), new Set([0]));
        assert.deepEqual(await bytesOf(layers.upper.tarStream()), UPPER);
        assert.deepEqual(readdirSync(join(root, "strata/tmp")), []);
      });

      it("may have its records in another, and all else in a third", async () => {
        using fileSystem = mountLoop(type, options);
        const root = rootWith(fileSystem.path, { ".": AROUND, [layersOf(driver)]: DATA, image: RECORDS });
        await using store = await open(fileSystem.path, driver);
        const { base, upper, changed } = await fill(store);
        const record = join(root, "image", driver, "layerdb/sha256", upper.chainId.slice("sha256:".length));
        assert.deepEqual(projectsIn(join(root, layersOf(driver))), new Set([DATA]));
        assert.deepEqual(projectsIn(join(root, "image")), new Set([RECORDS]));
        writeFileSync(join(record, "size"), "none");
        assert.equal((await store.register(streamOf(UPPER), { parent: base.chainId })).chainId, upper.chainId);
        assert.notEqual(readFileSync(join(record, "size"), "utf8"), "none", "the damaged record gave way");
        rmSync(join(record, "tar-split.json.gz"));
        writeFileSync(join(record, "diff"), "none");
        assert.ok(changed > 0);
        await store.fsck({ repair: "forced" });
        assert.equal(readdirSync(join(root, "strata/quarantine")).length, 1);
        assert.deepEqual(readdirSync(join(root, "strata/tmp")), []);
      });
    });
  }
}

/** Where a driver's layers lie, below the root. */
function layersOf(driver: string): string {
  return driver === "vfs" ? "vfs/dir" : driver;
}

/** Makes a root, with directories that hand their projects on. */
function rootWith(path: string, projects: Readonly<Record<string, number>>): string {
  const root = join(path, "root");
  for (const [name, id] of Object.entries(projects)) {
    mkdirSync(join(root, name), { recursive: true });
    setProjectId(join(root, name), id);
  }
  return root;
}

async function open(path: string, driver: string): Promise<LayerStore> {
  return await LayerStore.open({ root: join(path, "root"), runRoot: join(path, "run"), driver, durability: "none" });
}

/** Layers by every way in; the writable one goes again. */
async function fill(store: LayerStore) {
  const base = await store.register(streamOf(BASE));
  const upper = await store.register(streamOf(UPPER), { parent: base.chainId });
  const writable = await store.createRWLayer("w", { parent: upper.chainId });
  const path = await writable.mount();
  writeFileSync(join(path, "etc/new"), "new\n");
  mkdirSync(join(path, "made/here"), { recursive: true });
  await writable.unmount();
  const changed = await writable.applyDiff(streamOf(layerTar([dir("opt/x"), file("opt/x/f", "applied\n")])));
  const committed = await store.commit("w");
  assert.deepEqual(committed.parent()?.chainId, upper.chainId);
  await store.releaseRWLayer(writable);
  return { base, upper, changed };
}

/** The projects of a directory and all directories below it. */
function projectsIn(path: string): Set<number> {
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return new Set([projectIdOf(path), ...below.flatMap(({ name }) => [...projectsIn(join(path, name))])]);
}
