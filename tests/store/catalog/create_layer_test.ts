// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { display, hasCode, type LayerStore, type PutLayerOptions } from "../../../mod.ts";
import { dir, file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/gone", "gone\n")]);
const TOP = layerTar([file("top", "top\n"), whiteout("etc/gone")]);
const PACKED = new Uint8Array(gzipSync(BASE));

for (const driver of DRIVERS) {
  describe(`Catalog.put() on ${driver}`, () => {
    it("makes a sealed layer with all that belongs to it", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.catalog.put({
        id: "base-1",
        names: ["base", "docker.io/base:1"],
        metadata: "text",
        flags: { kept: true, deep: { list: [1, null] } },
        mountLabel: "system_u:object_r:container_file_t:s0:c1,c2",
        diff: streamOf(PACKED),
        bigData: new Map([["manifest", new TextEncoder().encode("{}")]]),
      });
      const entry = store.catalog.get("base");
      assert.equal(entry.id, base.id);
      assert.deepEqual([entry.metadata, entry.flags["deep"]], ["text", { list: [1, null] }]);
      assert.equal(entry.mountLabel, "system_u:object_r:container_file_t:s0:c1,c2");
      assert.deepEqual([entry.blob?.compression, entry.blob?.size], ["gzip", PACKED.length]);
      assert.equal(entry.content?.archiveBytes, BASE.length);
      assert.deepEqual([entry.uids, entry.gids], [[0], [0]]);
      assert.deepEqual(entry.bigData?.map(({ key, size }) => [key, size]), [["manifest", 2]]);
      assert.equal(await store.catalog.size("base"), BASE.length);
      const { digest } = entry.blob!;
      assert.deepEqual(store.catalog.layersByCompressedDigest(digest).map(({ id }) => id), ["base-1"]);
      const found = store.catalog.layersByUncompressedDigest(entry.content!.diffId);
      assert.deepEqual(found.map(({ id }) => id), ["base-1"]);
      assert.deepEqual(store.catalog.layersByTocDigest(digest), []);

      const top = await store.catalog.put({ parent: "base", diff: streamOf(TOP) });
      assert.equal(top.parent, "base-1");
      assert.deepEqual(await bytesOf(store.catalog.diff(top.id)), TOP);
      const gzipped = await bytesOf(store.catalog.diff(top.id, undefined, { compression: "gzip" }));
      assert.deepEqual(new Uint8Array(gunzipSync(gzipped)), TOP);
      assert.deepEqual(await listed(store, top.id), ["modify etc", "delete etc/gone", "add top"]);
      assert.deepEqual(await bytesOf(store.catalog.diff(top.id, "base")), TOP, "exact against its parent");
      const whole = await bytesOf(store.catalog.diff(top.id, top.id));
      assert(whole.length < TOP.length || !Buffer.from(whole).equals(Buffer.from(TOP)), "computed against another");
    });

    it("makes a sealed layer that awaits its diff, and gives it one once", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ names: ["base"], diff: streamOf(BASE) });
      const blank = await store.catalog.createWithFlags({ id: "blank", parent: "base", flags: { pull: "partial" } });
      assert.equal(blank.target.kind === "layer" && blank.target.awaits, "diff");
      assert.deepEqual(await listed(store, "blank"), []);
      const path = await store.catalog.mount("blank");
      assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "hello\n");
      const refused = (code: "IN_USE" | "CONFLICT") => (error: unknown) => hasCode(error, code);
      await assert.rejects(store.catalog.applyDiff("blank", streamOf(TOP)), refused("IN_USE"));
      await store.catalog.unmount("blank");
      const child = await store.catalog.put({ parent: "blank", diff: streamOf(TOP) });
      await assert.rejects(store.catalog.applyDiff("blank", streamOf(TOP)), refused("IN_USE"));
      await store.catalog.delete(child.id);

      const bad = streamOf(new TextEncoder().encode("no archive".padEnd(2048)));
      await assert.rejects(store.catalog.applyDiff("blank", bad), (error) => hasCode(error, "INVALID_ARCHIVE"));
      assert.deepEqual(store.catalog.get("blank").target, blank.target, "a bad archive changes nothing");
      const layers = store.layers().layers.size;
      assert(await store.catalog.applyDiff("blank", streamOf(TOP)) > 0);
      assert.equal(store.layers().layers.size, layers, "the layer of nothing went");
      assert.deepEqual(await bytesOf(store.catalog.diff("blank")), TOP);
      assert.deepEqual(store.catalog.get("blank").flags, { pull: "partial" });
      await assert.rejects(store.catalog.applyDiff("blank", streamOf(TOP)), refused("CONFLICT"));
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("makes a writable layer, with a diff of its own", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ names: ["base"], diff: streamOf(BASE) });
      const work = await store.catalog.put({
        names: ["work"],
        parent: "base",
        access: "writable",
        diff: streamOf(TOP),
      });
      assert.equal(work.target.kind, "writable");
      assert.equal(await store.catalog.size("work"), undefined);
      const path = await store.catalog.mount("work");
      assert.deepEqual(readdirSync(join(path, "etc")), ["motd"]);
      writeFileSync(join(path, "more"), "more\n");
      await store.catalog.unmount("work");
      assert.deepEqual((await listed(store, "work")).filter((line) => !/modify (etc)?$/.test(line)), [
        "delete etc/gone",
        "add more",
        "add top",
      ]);
      assert(await store.catalog.applyDiff("work", streamOf(layerTar([file("again", "again\n")]))) > 0);
      assert((await listed(store, "work")).includes("add again"), "a writable layer takes any number of diffs");
      assert.equal(await store.catalog.diffSize("work"), "more\ntop\nagain\n".length);
      await store.catalog.delete("work");
      assert.equal(store.rwLayers().mounts.size, 0);
      assert.equal(scratch.layerDirs(driver).length, 1);
    });

    it("leaves nothing when it fails", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      const aborted = AbortSignal.abort();
      const cases: readonly [code: Parameters<typeof hasCode>[1], options: PutLayerOptions][] = [
        ["CONFLICT", { id: "base" }],
        ["CONFLICT", { id: "other", access: "writable", mountName: "taken" }],
        ["INVALID_ARGUMENT", { id: "../victim" }],
        ["INVALID_ARGUMENT", { names: [""] }],
        ["NOT_FOUND", { parent: "nothing" }],
        ["NOT_FOUND", { template: "nothing" }],
        ["INVALID_ARGUMENT", { parent: "taken" }],
        ["INVALID_ARCHIVE", { diff: streamOf(new TextEncoder().encode("no archive".padEnd(2048))) }],
        ["INVALID_ARCHIVE", { access: "writable", diff: streamOf(new TextEncoder().encode("no".padEnd(2048))) }],
        ["INVALID_ARGUMENT", { diff: streamOf(TOP), bigData: new Map([["", new Uint8Array(1)]]) }],
        ["ABORTED", { diff: streamOf(TOP), signal: aborted }],
      ];
      await store.createRWLayer("taken");
      const dirs = scratch.layerDirs(driver).length;
      for (const [code, options] of cases) {
        await assert.rejects(store.catalog.put(options), (error) => hasCode(error, code), JSON.stringify(options));
        if (options.diff !== undefined) assert.equal(await isSpent(options.diff), true, "the stream is cancelled");
        assert.deepEqual(store.catalog.layers().map(({ id }) => id), ["base"], JSON.stringify(options));
        assert.deepEqual([...store.rwLayers().mounts.keys()], ["taken"]);
        assert.equal(scratch.layerDirs(driver).length, dirs, JSON.stringify(options));
        assert.deepEqual(scratch.leftovers(), []);
      }
    });
  });
}

describe("one id", () => {
  it("is made once, however many try at once", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await using other = await scratch.open({ driver: "vfs" });
    const tries = [store, other, store, other].map(({ catalog }) => catalog.put({ id: "one", diff: streamOf(BASE) }));
    const outcomes = await Promise.allSettled(tries);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    assert.deepEqual(store.catalog.list().records.map(({ id }) => id), ["one"]);
    assert(!existsSync(join(scratch.root, "victim")));
    assert(lstatSync(scratch.root).isDirectory());
  });
});

async function listed(store: LayerStore, ref: string): Promise<string[]> {
  return (await store.catalog.changes(ref)).map(({ kind, path }) => `${kind} ${display(path)}`);
}

async function isSpent(stream: ReadableStream<Uint8Array>): Promise<boolean> {
  return stream.locked || (await stream.getReader().read()).done;
}
