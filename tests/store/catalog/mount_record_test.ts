// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chownSync, lstatSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { type ErrorCode, hasCode } from "../../../mod.ts";
import { mountAt } from "../../../src/host/mount_table.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([file("base", "base\n")]);
const TOP = layerTar([file("file", "content\n")]);
const IS_ROOT = process.getuid?.() === 0;

for (const driver of DRIVERS) {
  describe(`mounts of records on ${driver}`, () => {
    it("are counted for each record, though one layer is mounted", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { catalog } = store;
      await catalog.put({ id: "base", diff: streamOf(BASE) });
      for (const id of ["one", "two"]) {
        await catalog.put({ id, names: [`name-${id}`], parent: "base", diff: streamOf(TOP) });
      }
      assert.equal(store.layers().layers.size, 2, "both records stand for one layer");
      const path = await catalog.mount("one");
      assert.equal(await catalog.mount("name-two"), path);
      await catalog.mount("one");
      assert.equal(readFileSync(join(path, "base"), "utf8"), "base\n");
      assert.deepEqual([catalog.mounted("one"), catalog.mounted("two"), catalog.mounted("base")], [2, 1, 0]);
      const shown = catalog.layers().map(({ id, mountCount, mountPoint }) => [id, mountCount, mountPoint]);
      assert.deepEqual(shown.sort(), [["base", 0, undefined], ["one", 2, path], ["two", 1, path]]);
      await rejected("IN_USE", () => catalog.delete("two"));
      assert.equal(await catalog.unmount("two"), 0);
      await rejected("NOT_FOUND", () => catalog.unmount("two"));
      assert.deepEqual([catalog.mounted("one"), catalog.mounted("two")], [2, 0], "one's mounts are its own");
      assert.equal(await catalog.unmount("name-one", { release: "all" }), 0);
      await rejected("NOT_FOUND", () => catalog.unmount("one"));
      assert.equal(mountAt(path), undefined);
      assert.deepEqual(store.mounts(), []);
    });

    it("go by words, too: a record's own, else nobody's in particular", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      for (const id of ["one", "two"]) await store.catalog.put({ id, diff: streamOf(TOP) });
      const chainId = store.resolveChain("one");
      await store.mount(chainId);
      await store.mount("one");
      assert.deepEqual([store.catalog.mounted("one"), store.catalog.mounted("two")], [1, 0]);
      assert.equal(store.mounts()[0]?.count, 2);
      assert.equal(await store.unmount("two"), 1, "two gives back what nobody in particular has");
      await rejected("NOT_FOUND", () => store.unmount("two"));
      assert.equal(await store.unmount("one"), 0);
      assert.deepEqual(store.mounts(), []);
      const path = await store.mount("one");
      assert.equal(await store.unmount(path), 0);
      await assert.rejects(
        store.unmount(path),
        (error) => hasCode(error, "NOT_FOUND") && error.detail.kind === "mount",
      );
    });

    it("of a record with ids of its own show them, and its diff stays exact", { skip: !IS_ROOT }, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "plain", diff: streamOf(TOP) });
      const map = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
      const idMappings = { uids: map, gids: map };
      const mapped = await store.catalog.put({ id: "mapped", template: "plain", idMappings });
      assert.deepEqual([mapped.uidMap, mapped.gidMap], [map, map]);
      assert.equal(store.layers().layers.size, 1);
      const path = await store.mount("mapped");
      assert.equal(lstatSync(join(path, "file")).uid, 100_000);
      assert.deepEqual([store.catalog.mounted("mapped"), store.catalog.mounted("plain")], [1, 0]);
      const plain = await store.catalog.mount("plain");
      assert.equal(lstatSync(join(plain, "file")).uid, 0);
      await store.catalog.unmount("plain");
      await store.unmount("mapped");
      assert.deepEqual(await all(store.catalog.diff("mapped")), Buffer.from(TOP));
      const child = await store.catalog.put({ parent: "mapped", diff: streamOf(BASE) });
      assert.deepEqual(child.uidMap, map, "as its parent has it");
      const host = await store.catalog.put({ parent: "mapped", diff: streamOf(BASE), idMappings: "host" });
      assert.equal(host.uidMap, undefined);
      await store.catalog.wipe();
      assert.deepEqual(scratch.layerDirs(driver), []);
      assert.equal(store.rwLayers().mounts.size, 0);
    });

    it("let it be told who owns what lies above them", { skip: !IS_ROOT }, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const map = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
      await store.catalog.put({ id: "plain", diff: streamOf(TOP) });
      await store.catalog.put({ id: "mapped", template: "plain", idMappings: { uids: map, gids: [] } });
      assert.deepEqual(store.catalog.parentOwners("plain"), { uids: [], gids: [] });
      assert.throws(() => store.catalog.parentOwners("mapped"), (error) => hasCode(error, "NOT_FOUND"));
      const path = await store.catalog.mount("mapped");
      assert.deepEqual(store.catalog.parentOwners("mapped"), { uids: [0], gids: [] });
      chownSync(scratch.dir, 777, 777);
      assert.deepEqual(store.catalog.parentOwners("mapped"), { uids: [0, 777], gids: [] });
      assert(path.startsWith(scratch.dir) && dirname(path) !== scratch.dir);
      await store.catalog.unmount("mapped");
    });
  });
}

describe("a mount that the kernel lost", { skip: !DRIVERS.includes("overlay2") }, () => {
  it("counts for nobody any more, and the next one begins at one", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "overlay2" });
    await store.catalog.put({ id: "base", diff: streamOf(BASE) });
    await store.catalog.put({ id: "one", parent: "base", diff: streamOf(TOP) });
    const path = await store.catalog.mount("one");
    await store.catalog.mount("one");
    execFileSync("umount", [path]);
    assert.equal(store.catalog.mounted("one"), 0);
    assert.equal(store.catalog.get("one").mountPoint, undefined);
    await rejected("NOT_FOUND", () => store.catalog.unmount("one"));
    await store.catalog.mount("one");
    assert.equal(store.catalog.mounted("one"), 1);
    assert.equal(await store.catalog.unmount("one"), 0);
    assert.equal(mountAt(path), undefined);
  });
});

describe("a mount whose count is lost", { skip: !DRIVERS.includes("overlay2") }, () => {
  it("counts once, is listed, and keeps its layer", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "overlay2" });
    const { catalog } = store;
    await catalog.put({ id: "base", diff: streamOf(BASE) });
    await catalog.put({ id: "one", parent: "base", diff: streamOf(TOP) });
    await catalog.create({ id: "writable", parent: "base", access: "writable" });
    const paths = [await catalog.mount("writable"), await catalog.mount("one")];
    await catalog.mount("one");
    try {
      rmSync(join(scratch.dir, "run"), { recursive: true });
      assert.deepEqual(store.mounts().map(({ path, count }) => [path, count]), paths.map((path) => [path, 1]));
      assert.equal(catalog.mounted("writable"), 1);
      const shown = catalog.layers().map(({ id, mountCount, mountPoint }) => [id, mountCount, mountPoint]);
      assert.deepEqual(shown.sort(), [["base", 0, undefined], ["one", 0, undefined], ["writable", 1, paths[0]]]);
      await rejected("IN_USE", () => catalog.delete("one"));
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
    } finally {
      assert.equal(await store.unmount("writable"), 0);
      assert.equal(await store.unmount("one"), 0);
    }
    assert.deepEqual(store.mounts(), []);
    await catalog.delete("one");
  });
});

async function all(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer());
}

async function rejected(code: ErrorCode, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => hasCode(error, code));
}
