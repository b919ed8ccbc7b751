// SPDX-License-Identifier: Apache-2.0
/**
 * Removing all records: containers/storage's `Wipe`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode, type LayerStore } from "../../../mod.ts";
import { dir, file, layerTar } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n")]);
const TOP = layerTar([file("top", "top\n")]);

for (const driver of DRIVERS) {
  describe(`Catalog.wipe() on ${driver}`, () => {
    it("removes every record with its layer, names and data items", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      const chains = ["top", "base"].map((id) => catalog.get(id).target).map((t) => t.kind === "layer" && t.chainId);
      const deleted = (await catalog.wipe()).map(({ chainId }) => chainId);
      assert.deepEqual(deleted.filter((chainId) => chains.includes(chainId)), chains, "top before base");
      assert.deepEqual([catalog.list().records, catalog.exists("base-name")], [[], false]);
      assert.deepEqual([store.layers().layers.size, store.rwLayers().mounts.size], [0, 0]);
      const kept = join(scratch.root, `image/${driver}/strata/catalog`);
      for (const name of ["records", "names", "data"]) assert.deepEqual(readdirSync(join(kept, name)), [], name);
      assert.deepEqual([scratch.layerDirs(driver), scratch.leftovers()], [[], []]);
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
      assert.deepEqual(await catalog.wipe(), [], "nothing is no error");
      await catalog.put({ id: "base", names: ["base-name"], diff: streamOf(BASE) });
      assert.deepEqual(await bytesOf(catalog.diff("base-name")), BASE, "ids and names are free again");
    });

    it("removes nothing when something is mounted, unless it is told to unmount", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      const path = await catalog.mount("work");
      const before = catalog.list();
      await assert.rejects(
        catalog.wipe(),
        (error) => hasCode(error, "IN_USE") && /"work".*mounted/.test(error.message),
      );
      assert.deepEqual(catalog.list(), before);
      writeFileSync(join(path, "still"), "mounted");
      assert.equal((await catalog.wipe({ whenUsed: "remove" })).length, 3);
      assert.deepEqual(scratch.layerDirs(driver), []);
      assert.equal(existsSync(join(path, "still")), false);
    });

    it("leaves what others need, and what is only read", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      {
        await using other = await shelf.open({ driver });
        await other.catalog.put({ id: "far", diff: streamOf(TOP) });
      }
      await using store = await filled(scratch, driver, [shelf.root]);
      const { catalog } = store;
      const { target } = catalog.get("base");
      assert(target.kind === "layer");
      await store.createRWLayer("of-no-record", { parent: target.chainId });
      const deleted = (await catalog.wipe()).map(({ chainId }) => chainId);
      assert.equal(deleted.includes(target.chainId), false);
      assert.deepEqual([...store.layers().layers.keys()], [target.chainId]);
      assert.deepEqual([...store.rwLayers().mounts.keys()], ["of-no-record"]);
      assert.deepEqual(catalog.layers().map(({ id }) => id), ["far"]);
      assert.deepEqual(await bytesOf(catalog.diff("far")), TOP);
    });
  });
}

/** Records of all kinds: sealed, awaiting, writable, and with data items. */
async function filled(
  scratch: ScratchRoot,
  driver: string,
  readOnlyRoots: readonly string[] = [],
): Promise<LayerStore> {
  const store = await scratch.open({ driver, readOnlyRoots });
  const { catalog } = store;
  const bigData = new Map([["manifest", new Uint8Array([1])]]);
  await catalog.put({ id: "base", names: ["base-name"], diff: streamOf(BASE), bigData });
  await catalog.put({ id: "top", parent: "base", diff: streamOf(TOP) });
  await catalog.put({ id: "same", names: ["same-name"], parent: "base", diff: streamOf(TOP) });
  await catalog.create({ id: "blank", parent: "top" });
  await catalog.create({ id: "work", parent: "top", access: "writable" });
  return store;
}
