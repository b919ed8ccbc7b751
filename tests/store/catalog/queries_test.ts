// SPDX-License-Identifier: Apache-2.0
/**
 * What the catalog tells of its driver and of single records.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ErrorCode, hasCode, type LayerStore, parseChainId } from "../../../mod.ts";
import { digestHex, digestOf, parseDigest } from "../../../src/core/digest.ts";
import { dir, file, layerTar } from "../../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n", { uid: 7, gid: 8 })]);
const TOP = layerTar([file("top", "top\n")]);
const NO_BYTES = layerTar([]);

/** The names that Docker tells, by what statfs(2) tells: daemon/internal/fstype of moby. */
const FILE_SYSTEMS: ReadonlyMap<string, string> = new Map([
  ["1021994", "tmpfs"],
  ["ef53", "extfs"],
  ["58465342", "xfs"],
  ["9123683e", "btrfs"],
  ["794c7630", "overlayfs"],
]);

/** The rows of Docker's drivers, in their order. */
const ROWS: Readonly<Record<string, readonly string[]>> = {
  overlay2: ["Backing Filesystem", "Supports d_type", "Using metacopy", "Native Overlay Diff", "userxattr"],
  vfs: ["Backing Filesystem"],
};

for (const driver of DRIVERS) {
  describe(`Catalog.status() on ${driver}`, () => {
    it("has Docker's rows, told of the file system that the store lies on", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const status = store.catalog.status();
      const names = status.map(([name]) => name);
      const expected = ROWS[driver] ?? [];
      assert.deepEqual(names.slice(0, expected.length), expected);
      assert.equal(new Set(names).size, names.length);
      assert(status.every(([, value]) => value !== ""));
      assert.deepEqual(store.info().status, status, "as info tells");
      const rows = Object.fromEntries(status);
      const magic = spawnSync("stat", ["-f", "-c", "%t", scratch.root], { encoding: "utf8" }).stdout.trim();
      const known = FILE_SYSTEMS.get(magic);
      if (known !== undefined) assert.equal(rows["Backing Filesystem"], known);
      if (driver === "vfs") return;
      assert.deepEqual([rows["Supports d_type"], rows["userxattr"]], ["true", "false"], "as root");
    });
  });

  describe(`Catalog.get() on ${driver}`, () => {
    it("tells how things stand with a record now", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      const base = catalog.get("base-name");
      assert.deepEqual([base.id, base.uids, base.gids, base.root, base.missing], [
        "base-1",
        [7, 0].sort(),
        [8, 0].sort(),
        undefined,
        undefined,
      ]);
      assert.deepEqual([base.content?.diffId, base.content?.parent], [digestOf(BASE), undefined]);
      assert.equal(catalog.get("top-1").content?.parent, chainOf(store, "base-1"));
      assert.deepEqual([base.mountPoint, base.mountCount], [undefined, 0]);
      const path = await catalog.mount("base-1");
      await catalog.mount("base-1");
      const mounted = catalog.get("base-1");
      assert.deepEqual([mounted.mountPoint, mounted.mountCount, catalog.mounted("base-1")], [path, 2, 2]);
      assert.equal(catalog.get("top-1").mountCount, 0);
      await catalog.unmount("base-1", { release: "all" });
      assert.deepEqual(catalog.get("base-1"), base);
      const { uids: _, gids: __, mountCount: ___, ...record } = base;
      assert.deepEqual(catalog.list().records.find(({ id }) => id === "base-1"), record);
    });

    it("says that what a record stands for is gone", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      rmSync(layerDir(scratch, driver, chainOf(store, "top-1")), { recursive: true });
      assert.equal(catalog.get("top-1").missing, true);
      assert.deepEqual(catalog.layers().map(({ id, missing }) => [id, missing]), [
        ["base-1", undefined],
        ["top-1", true],
        ["work", undefined],
      ]);
      refused("NOT_FOUND", () => catalog.differTarget("top-1"));
      assert.equal(await catalog.size("top-1"), TOP.length, "what the record repeats is still told");
    });

    it("refuses what means nothing, several, or is damaged, as lookup does", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      await catalog.put({ id: "base-2", diff: streamOf(BASE) });
      writeFileSync(join(scratch.root, `image/${driver}/strata/catalog/records/torn.json`), "{");
      const cases: readonly (readonly [string, ErrorCode])[] = [
        ["nothing", "NOT_FOUND"],
        ["", "NOT_FOUND"],
        ["../base-1", "NOT_FOUND"],
        ["base-", "AMBIGUOUS"],
        [chainOf(store, "base-1"), "AMBIGUOUS"],
        ["torn", "CORRUPT"],
      ];
      for (const [ref, code] of cases) {
        refused(code, () => catalog.get(ref), `get ${ref}`);
        refused(code, () => catalog.lookup(ref), `lookup ${ref}`);
        await assert.rejects(async () => await catalog.size(ref), (error) => hasCode(error, code), `size ${ref}`);
      }
    });
  });

  describe(`Catalog.lookup() on ${driver}`, () => {
    it("finds by id, name, unique prefix and ChainID, the own root before others", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      {
        await using other = await shelf.open({ driver });
        await other.catalog.put({ id: "far", names: ["base-name", "far-name"], diff: streamOf(TOP) });
      }
      await using store = await filled(scratch, driver, [shelf.root]);
      const { catalog } = store;
      const words = { "base-1": "base-1", "base-name": "base-1", "top-name": "top-1", b: "base-1", t: "top-1" };
      for (const [word, id] of Object.entries(words)) assert.equal(catalog.lookup(word), id, word);
      assert.equal(catalog.lookup(chainOf(store, "top-1")), "top-1");
      assert.deepEqual([catalog.lookup("far"), catalog.lookup("far-name")], ["far", "far"]);
      assert.equal(catalog.get("far").root, shelf.root);
      await catalog.addNames("top-1", ["base-1-x", "b"]);
      assert.equal(catalog.lookup("b"), "top-1", "a name comes before a prefix");
    });
  });

  describe(`Catalog.size() on ${driver}`, () => {
    it("is that of the tar, whoever wrote the layer's record, and none for a writable layer", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      assert.deepEqual([await catalog.size("base-name"), await catalog.size("top-1")], [BASE.length, TOP.length]);
      assert.equal(await catalog.size("work"), undefined);
      await catalog.create({ id: "blank", parent: "base-1" });
      assert.equal(await catalog.size("blank"), NO_BYTES.length);
      await catalog.applyDiff("blank", streamOf(TOP));
      assert.equal(await catalog.size("blank"), TOP.length);
      // A record of an earlier version repeats nothing of the layer; another tool's layer has nothing but its tar-split.
      const record = join(scratch.root, `image/${driver}/strata/catalog/records/base-1.json`);
      const { content: _, ...rest } = JSON.parse(readFileSync(record, "utf8"));
      writeFileSync(record, JSON.stringify(rest));
      assert.equal(await catalog.size("base-1"), BASE.length);
      rmSync(join(layerDir(scratch, driver, chainOf(store, "base-1")), "strata.json"));
      assert.equal(await catalog.size("base-1"), BASE.length);
    });
  });

  describe(`Catalog.differTarget() on ${driver}`, () => {
    it("is where a record's own files lie, of sealed and writable ones", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const { catalog } = store;
      const base = catalog.differTarget("base-1");
      assert(base.startsWith(join(scratch.root, driver)));
      assert.equal(readFileSync(join(base, "etc/motd"), "utf8"), "hello\n");
      const path = await catalog.mount("work");
      writeFileSync(join(path, "written"), "written\n");
      await catalog.unmount("work");
      const own = catalog.differTarget("work");
      assert.notEqual(own, base);
      assert.equal(readFileSync(join(own, "written"), "utf8"), "written\n");
      assert.equal(
        existsSync(join(own, "etc/motd")),
        driver === "vfs",
        "overlays keep what changes, vfs the whole tree",
      );
      refused("NOT_FOUND", () => catalog.differTarget("nothing"));
    });
  });
}

/** A base, a layer and a writable layer on it, with a record each. */
async function filled(
  scratch: ScratchRoot,
  driver: string,
  readOnlyRoots: readonly string[] = [],
): Promise<LayerStore> {
  const store = await scratch.open({ driver, readOnlyRoots });
  await store.catalog.put({ id: "base-1", names: ["base-name"], diff: streamOf(BASE) });
  await store.catalog.put({ id: "top-1", names: ["top-name"], parent: "base-1", diff: streamOf(TOP) });
  await store.catalog.create({ id: "work", parent: "base-1", access: "writable" });
  return store;
}

function chainOf({ catalog }: LayerStore, id: string): string {
  const { target } = catalog.get(id);
  assert(target.kind === "layer");
  return parseChainId(target.chainId);
}

function layerDir({ root }: ScratchRoot, driver: string, chainId: string): string {
  return join(root, `image/${driver}/layerdb/sha256`, digestHex(parseDigest(chainId)));
}

function refused(code: ErrorCode, act: () => unknown, word = ""): void {
  assert.throws(act, (error) => (assert(hasCode(error, code), `${word}: expected ${code}, and got ${error}`), true));
}
