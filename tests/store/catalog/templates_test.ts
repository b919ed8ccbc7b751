// SPDX-License-Identifier: Apache-2.0
/**
 * Records that begin with what another record has.
 *
 * @module
 */
import assert from "node:assert/strict";
import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { type CatalogRecord, display, hasCode, type IdMappings, type LayerStore } from "../../../mod.ts";
import { dir, file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { traceOf } from "../../support/trace.ts";

const BASE = layerTar([dir("d"), file("d/root", "root\n"), file("d/user", "user\n", { uid: 7, gid: 8 }), file("gone")]);
const TOP = layerTar([file("top", "top\n", { uid: 9, gid: 10 }), whiteout("gone")]);
const RANGE = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
const MAPS: IdMappings = { uids: RANGE, gids: RANGE };
const owners = { skip: process.geteuid?.() === 0 ? false : "owners need root" };

for (const driver of DRIVERS) {
  describe(`templates on ${driver}`, () => {
    it("give sealed records the very layer, with its digests, sizes, text and blob", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { size } = store.layers().layers;
      const copy = await store.catalog.create({ names: ["copy"], template: "top" });
      const [entry, original] = [store.catalog.get(copy.id), store.catalog.get("top")];
      assert.deepEqual(entry.content, original.content);
      assert.deepEqual([entry.metadata, entry.blob, entry.parent], ["text", original.blob, "base"]);
      assert.deepEqual(chainOf(copy), chainOf(original));
      assert.equal(store.layers().layers.size, size, "nothing is copied");
      await store.catalog.delete("top");
      assert.deepEqual(await bytesOf(store.catalog.diff("copy")), TOP);
      const own = await store.catalog.create({ template: "copy", metadata: "own" });
      assert.equal(own.metadata, "own");
    });

    it("show sealed copies under ids of their own, while their tars are the same bytes", owners, async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const before = traceOf(scratch.root).length;
      await store.catalog.create({ id: "mapped", template: "top", idMappings: MAPS });
      const path = await store.catalog.mount("mapped");
      try {
        assert.deepEqual(ownersIn(path), {
          "d/root": [100_000, 100_000],
          "d/user": [100_007, 100_008],
          top: [100_009, 100_010],
        });
        assert.deepEqual(readdirSync(path).sort(), ["d", "top"]);
      } finally {
        await store.catalog.unmount("mapped");
      }
      assert.deepEqual(await bytesOf(store.catalog.diff("mapped")), TOP);
      assert.equal((await store.verify(chainOf(store.catalog.get("mapped"))!)).state, "ok");
      assert.deepEqual(await changesOf(store, "mapped"), await changesOf(store, "top"));
      // A copy of the copy has its ids, unless it is to have others.
      const again = await store.catalog.create({ template: "mapped" });
      assert.deepEqual([again.uidMap, again.gidMap], [RANGE, RANGE]);
      const host = await store.catalog.create({ template: "mapped", idMappings: "host" });
      assert.equal(host.uidMap, undefined);
      const plain = await store.catalog.mount(host.id);
      assert.deepEqual(ownersIn(plain)["d/user"], [7, 8]);
      await store.catalog.unmount(host.id);
      for (const id of ["mapped", again.id, host.id]) await store.catalog.delete(id);
      assert.equal(traceOf(scratch.root).length, before, "nothing is left");
    });

    it("give writable copies the changes with which they begin", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const copy = await store.catalog.create({ id: "copy", template: "work", access: "writable" });
      assert.deepEqual([copy.target.kind, copy.metadata], ["writable", "of work"]);
      assert.deepEqual(await changesOf(store, "copy"), await changesOf(store, "work"));
      const path = await store.catalog.mount("copy");
      assert.equal(readFileSync(join(path, "written"), "utf8"), "written\n");
      writeFileSync(join(path, "written"), "changed\n");
      writeFileSync(join(path, "more"), "more\n");
      await store.catalog.unmount("copy");
      const original = await store.catalog.mount("work");
      assert.equal(readFileSync(join(original, "written"), "utf8"), "written\n");
      assert.deepEqual(readdirSync(original).sort(), ["d", "top", "written"]);
      await store.catalog.unmount("work");
      assert((await changesOf(store, "copy")).includes("add more"));
    });

    it("give writable copies of sealed records what those change", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      await store.catalog.create({ id: "copy", template: "top", access: "writable" });
      assert.deepEqual(await changesOf(store, "copy"), await changesOf(store, "top"));
      const path = await store.catalog.mount("copy");
      assert.deepEqual(readdirSync(path).sort(), ["d", "top"]);
      await store.catalog.unmount("copy");
    });

    it("give writable copies with ids of their own mapped owners", owners, async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      await store.catalog.create({ id: "mapped", template: "work", access: "writable", idMappings: MAPS });
      const path = await store.catalog.mount("mapped");
      try {
        assert.deepEqual(ownersIn(path), {
          "d/root": [100_000, 100_000],
          "d/user": [100_007, 100_008],
          top: [100_009, 100_010],
          written: [100_000, 100_000],
        });
      } finally {
        await store.catalog.unmount("mapped");
      }
      assert.deepEqual(await changesOf(store, "mapped"), await changesOf(store, "work"));
    });

    it("make sealed copies of what writable ones hold now", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const copy = await store.catalog.create({ id: "copy", template: "work" });
      assert.equal(copy.target.kind, "layer");
      assert.equal(copy.content?.parent, chainOf(store.catalog.get("top")));
      assert.deepEqual(await changesOf(store, "copy"), await changesOf(store, "work"));
    });

    it("may lie on nothing, and are refused another parent than their own", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      for (const access of ["sealed", "writable"] as const) {
        const { id, parent } = await store.catalog.create({ template: "base", access });
        assert.equal(parent, undefined);
        assert.deepEqual(await changesOf(store, id), await changesOf(store, "base"));
        const same = await store.catalog.create({ template: "top", parent: "base", access });
        assert.equal(same.parent, "base");
        const before = [store.catalog.layers().length, scratch.layerDirs(driver).length];
        for (const [template, other] of [["base", "top"], ["top", "top"], ["work", "base"]]) {
          const making = store.catalog.create({ template: template!, parent: other!, access });
          await assert.rejects(making, (error) => hasCode(error, "INVALID_ARGUMENT"), `${template} on ${other}`);
        }
        const both = store.catalog.put({ template: "top", diff: streamOf(TOP) });
        await assert.rejects(both, (error) => hasCode(error, "INVALID_ARGUMENT"));
        assert.deepEqual([store.catalog.layers().length, scratch.layerDirs(driver).length], before);
      }
    });

    it("are not copied while they may change", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      for (const ref of ["work", "top"]) await store.catalog.mount(ref);
      try {
        const making = store.catalog.create({ template: "work", access: "writable" });
        await assert.rejects(making, (error) => hasCode(error, "IN_USE"));
        const sealed = await store.catalog.create({ template: "top", access: "writable" });
        assert.deepEqual(await changesOf(store, sealed.id), await changesOf(store, "top"));
      } finally {
        for (const ref of ["work", "top"]) await store.catalog.unmount(ref);
      }
    });

    it("may lie in a root that is only read, which stays as it is", async () => {
      using shelf = new ScratchRoot();
      await (await filled(shelf, driver)).close();
      const before = traceOf(shelf.root);
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver, readOnlyRoots: [shelf.root] });
      const sealed = await store.catalog.create({ id: "sealed", template: "top" });
      assert.deepEqual(await bytesOf(store.catalog.diff("sealed")), TOP);
      assert.equal(sealed.parent, "base");
      await store.catalog.create({ id: "writable", template: "top", access: "writable" });
      const path = await store.catalog.mount("writable");
      writeFileSync(join(path, "top"), "changed\n");
      await store.catalog.unmount("writable");
      assert((await changesOf(store, "writable")).includes("add top"));
      assert.deepEqual(traceOf(shelf.root), before);
    });
  });
}

async function filled(scratch: ScratchRoot, driver: string): Promise<LayerStore> {
  const store = await scratch.open({ driver });
  await store.catalog.put({ id: "base", diff: streamOf(BASE) });
  await store.catalog.put({ id: "top", parent: "base", metadata: "text", diff: streamOf(TOP) });
  await store.catalog.create({ id: "work", parent: "top", access: "writable", metadata: "of work" });
  writeFileSync(join(await store.catalog.mount("work"), "written"), "written\n");
  await store.catalog.unmount("work");
  return store;
}

function chainOf({ target }: Pick<CatalogRecord, "target">) {
  return target.kind === "layer" ? target.chainId : undefined;
}

async function changesOf(store: LayerStore, ref: string): Promise<string[]> {
  return (await store.catalog.changes(ref)).map(({ kind, path }) => `${kind} ${display(path)}`);
}

/** The owners of the files that are there. */
function ownersIn(path: string): Record<string, [uid: number, gid: number]> {
  const found: Record<string, [number, number]> = {};
  for (const name of ["d/root", "d/user", "top", "written"]) {
    const stat = lstatSync(join(path, name), { throwIfNoEntry: false });
    if (stat !== undefined) found[name] = [stat.uid, stat.gid];
  }
  return found;
}
