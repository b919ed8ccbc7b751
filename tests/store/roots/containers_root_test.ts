// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { isStrataError } from "../../../src/core/errors.ts";
import { parseOutsideId, parseRecordId } from "../../../src/core/ids.ts";
import { openContainersRoot, recogniseContainersRoot } from "../../../src/store/roots/containers_root.ts";
import { WorkerPool } from "../../../src/worker/pool.ts";
import { bytesOf } from "../../support/containers_layers.ts";
import { changedPaths, changeListing } from "../../support/change_listing.ts";
import { MadeRoot, SOUND } from "../../support/made_root.ts";
import { ScratchRoot } from "../../support/scratch_store.ts";

describe("openContainersRoot", () => {
  const pool = new WorkerPool();
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(`${tmpdir()}/strata-containers-`);
  });
  afterEach(() => rmSync(root, { recursive: true }));
  after(() => pool[Symbol.asyncDispose]());

  function make(driver: string, records: readonly object[] = []): void {
    mkdirSync(`${root}/${driver}-layers`, { recursive: true });
    mkdirSync(`${root}/${driver}`, { recursive: true });
    writeFileSync(`${root}/${driver}-layers/layers.json`, JSON.stringify(records));
  }

  it("knows such roots by their directories of layers", () => {
    assert.equal(recogniseContainersRoot(root), false);
    assert.throws(() => openContainersRoot(root, { pool }), { code: "NOT_FOUND" });
    make("overlay");
    assert.equal(recogniseContainersRoot(root), true);
    const opened = openContainersRoot(root, { pool });
    assert.equal(opened.kind, "containers-storage");
    assert.equal(opened.reading.driver.spec.name, "overlay");
    assert.deepEqual(opened.reading.catalog.list(), { records: [], findings: [] });
    assert.throws(() => openContainersRoot(root, { pool, driver: "vfs" }), { code: "NOT_FOUND" });
  });

  it("does not choose among several drivers' layers", () => {
    make("overlay");
    make("vfs");
    assert.throws(() => openContainersRoot(root, { pool }), { code: "AMBIGUOUS" });
    assert.equal(openContainersRoot(root, { pool, driver: "vfs" }).reading.driver.spec.name, "vfs");
  });

  it("refuses drivers that it cannot read", () => {
    make("btrfs");
    assert.equal(recogniseContainersRoot(root), true);
    assert.throws(() => openContainersRoot(root, { pool }), { code: "NOT_SUPPORTED" });
  });

  it("refuses layers that are kept for composefs", async () => {
    make("overlay", [{ id: "base" }]);
    mkdirSync(`${root}/overlay/base/composefs-data`, { recursive: true });
    const { driver } = openContainersRoot(root, { pool }).reading;
    const { cacheId } = parseOutsideId("base");
    await assert.rejects(async () => await driver.changes(cacheId, undefined), { code: "NOT_SUPPORTED" });
  });

  for (const driver of ["overlay", "vfs"]) {
    it(`refuses all that would write to ${driver}, and has written nothing`, async () => {
      const { cacheId } = parseOutsideId("base");
      make(driver, [{ id: "base" }]);
      mkdirSync(driver === "vfs" ? `${root}/vfs/dir/base` : `${root}/overlay/base/diff`, { recursive: true });
      const before = changeListing(root);
      const reader = openContainersRoot(root, { pool }).reading.driver;
      const location = reader.locate(cacheId);
      const sealed = { ...location, sizeBytes: 0 };
      const refused: Record<string, () => unknown> = {
        create: () => reader.create(cacheId, undefined),
        createReadWrite: () => reader.createReadWrite(cacheId, undefined),
        remove: () => reader.remove(cacheId),
        get: () => reader.get(cacheId),
        publish: () => reader.publish(sealed),
        replace: () => reader.replace(sealed),
        rebase: () => reader.rebase(sealed, []),
        mend: () => reader.mend(cacheId, []),
        removeDebris: () => reader.removeDebris({ path: location.dir, what: "", modifiedMs: 0, use: "none" }),
      };
      for (const [name, call] of Object.entries(refused)) {
        await assert.rejects(async () => await call(), { code: "NOT_SUPPORTED" }, name);
      }
      await reader.put(cacheId);
      await reader.cleanup();
      reader.syncHome();
      assert.deepEqual(reader.list().map((found) => String(found.cacheId)), ["base"]);
      assert.equal(reader.exists(cacheId), true);
      assert.equal(reader.exists(parseOutsideId("none").cacheId), false);
      assert.equal((await reader.changes(cacheId, undefined)).length, 1);
      assert.deepEqual(changedPaths(before, changeListing(root)), []);
    });
  }

  it("gives no data item that is not recorded, and tells of one that is lost", () => {
    make("overlay", [{ id: "base", "big-data-names": ["lost"] }]);
    const opened = openContainersRoot(root, { pool });
    const id = parseRecordId("base");
    assert.throws(() => opened.bigData(id, "other"), { code: "NOT_FOUND" });
    assert.throws(() => opened.bigData(id, "lost"), { code: "CORRUPT" });
    assert.throws(() => opened.bigData(parseRecordId("none"), "lost"), { code: "NOT_FOUND" });
  });

  it("tells of a layer whose directory is gone", async () => {
    make("overlay", [{ id: "base" }]);
    const { driver } = openContainersRoot(root, { pool }).reading;
    await assert.rejects(
      async () => await driver.changes(parseOutsideId("base").cacheId, undefined),
      (error) => isStrataError(error) && error.code === "NOT_FOUND",
    );
  });
});

for (const driver of ["overlay", "vfs"] as const) {
  describe(`records of one layer on ${driver}, each with files of its own`, () => {
    it("are read, verified and copied by themselves, and a damaged one spoils no other", async () => {
      using made = await MadeRoot.make(driver);
      made.add("whole");
      made.copyTree("whole");
      // The first one stands for the layer where no record is named.
      writeFileSync(`${made.treeOf("sound")}/extra`, "of a second tar");
      writeFileSync(`${made.treeOf("sound")}/sound`, "spoilt");
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver: "vfs", readOnlyRoots: [made.root] });
      const chainId = store.resolveChain("whole");
      assert.equal(store.resolveChain("sound"), chainId);
      const stateOf = async (record?: string) =>
        (await store.verify(chainId, record === undefined ? {} : { record: parseRecordId(record) })).state;
      assert.deepEqual([await stateOf(), await stateOf("sound"), await stateOf("whole")], ["bad", "bad", "ok"]);
      assert.deepEqual(await bytesOf(store.export(chainId, { record: parseRecordId("whole") })), SOUND);
      assert.deepEqual(await bytesOf(store.catalog.diff("whole")), SOUND);
      await assert.rejects(bytesOf(store.catalog.diff("sound")), { code: "CORRUPT" });
      const added = await store.catalog.changes("sound");
      assert.deepEqual(added.map(({ path }) => String(path)), ["", "extra", "sound"]);
      assert.equal((await store.catalog.changes("whole")).length, 2);

      const { adopted, failed } = await store.adopt({ from: made.root, refs: "all" });
      assert.deepEqual([adopted.map(({ id }) => String(id)), failed], [["sound", "whole"], []]);
      assert.deepEqual(await bytesOf(store.export(chainId)), SOUND);
      assert.equal(await stateOf(), "ok");
    });
  });
}
