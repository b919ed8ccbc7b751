// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, hasCode, type LayerStore } from "../../mod.ts";
import { digestHex } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const DRIVER = "vfs";
const NOWHERE = `sha256:${"0".repeat(64)}` as ChainId;

describe("the catalog", () => {
  it("makes records that name layers, for every process", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [chainId] = await register(store, "one");
    const blob = { digest: chainId, size: 7, compression: "gzip" } as const;
    const record = await store.catalog.add(chainId, { id: "my-id", names: ["base", "docker.io/base:1"], blob });
    assert.deepEqual([record.id, record.names, record.blob], ["my-id", ["base", "docker.io/base:1"], blob]);
    await using other = await scratch.open({ driver: DRIVER });
    assert.deepEqual(other.catalog.get("my-id"), { ...record, uids: [0], gids: [0], mountCount: 0 });
    assert.deepEqual(other.catalog.get("docker.io/base:1"), other.catalog.get("my-id"));
    assert.deepEqual(other.catalog.list(), { records: [record], findings: [] });
  });

  it("gives a record an id when the caller has none", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [chainId] = await register(store, "one");
    const { id, names } = await store.catalog.add(chainId);
    assert.match(id, /^[0-9a-f]{64}$/);
    assert.deepEqual(names, []);
  });

  it("refuses ids and names that are taken or cannot be used, and layers that do not exist", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [chainId] = await register(store, "one");
    await store.catalog.add(chainId, { id: "id", names: ["name"] });
    for (const taken of [{ id: "id" }, { names: ["fresh", "name"] }]) {
      await assert.rejects(store.catalog.add(chainId, taken), (error) => hasCode(error, "CONFLICT"));
      assert.throws(() => store.catalog.requireFree(taken), (error) => hasCode(error, "CONFLICT"));
    }
    for (const bad of [{ id: "../id" }, { id: "" }, { names: [""] }, { names: ["a\nb"] }]) {
      await assert.rejects(store.catalog.add(chainId, bad), (error) => hasCode(error, "INVALID_ARGUMENT"));
    }
    await assert.rejects(store.catalog.add(NOWHERE), (error) => hasCode(error, "NOT_FOUND"));
    assert.deepEqual(store.catalog.list().records.map(({ id, names }) => [id, names]), [["id", ["name"]]]);
    store.catalog.requireFree({ id: "other", names: ["fresh"] });
  });

  it("gives a name to one of those who want it at once", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    await using other = await scratch.open({ driver: DRIVER });
    const [chainId] = await register(store, "one");
    const wanting = [store, other, store, other].map(({ catalog }) => catalog.add(chainId, { names: ["wanted"] }));
    const outcomes = await Promise.allSettled(wanting);
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected", "rejected"]);
    assert.equal(store.catalog.list().records.length, 1);
  });

  it("changes names, and lets go of those that are dropped", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [chainId] = await register(store, "one");
    const { id } = await store.catalog.add(chainId, { names: ["p", "q"] });
    assert.deepEqual((await store.catalog.changeNames(id, { how: "add", names: ["r"] })).names, ["r", "p", "q"]);
    assert.deepEqual((await store.catalog.changeNames(id, { how: "remove", names: ["p"] })).names, ["r", "q"]);
    await store.catalog.add(chainId, { names: ["p"] });
    const taking = store.catalog.changeNames(id, { how: "set", names: ["s", "p"] });
    await assert.rejects(taking, (error) => hasCode(error, "CONFLICT"));
    assert.deepEqual(store.catalog.get("r").names, ["r", "q"]);
    assert.deepEqual((await store.catalog.changeNames(id, { how: "set", names: [] })).names, []);
    assert.throws(() => store.catalog.get("r"), (error) => hasCode(error, "NOT_FOUND"));
  });

  it("resolves ids, names, ChainIDs and prefixes that fit one layer only", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [one, two] = await register(store, "one", "two");
    await store.catalog.add(one, { id: "abc-1", names: ["name"] });
    await store.catalog.add(two, { id: "abc-2" });
    await store.createRWLayer("writable", { parent: one });
    const meant = {
      "abc-1": one,
      "abc-2": two,
      "name": one,
      [one]: one,
      [digestHex(two)]: two,
      [digestHex(two).slice(0, 12)]: two,
      [one.slice(0, "sha256:".length + 12)]: one,
    };
    for (const [ref, chainId] of Object.entries(meant)) assert.equal(store.resolveChain(ref), chainId, ref);
    assert.throws(() => store.resolve("abc"), (error) => {
      assert(hasCode(error, "AMBIGUOUS"));
      assert.deepEqual(error.detail.candidates, ["abc-1", "abc-2"]);
      return true;
    });
    for (const ref of ["nam", "", "sha256:", "nothing", "../x"]) {
      assert.throws(() => store.resolve(ref), (error) => hasCode(error, "NOT_FOUND"), ref);
    }
    assert.equal(store.resolve("writable").kind, "writable");
    assert.throws(() => store.resolveChain("writable"), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });

  it("resolves a layer that has no record", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [one] = await register(store, "one");
    assert.deepEqual(store.resolve(one).kind === "layer" && store.resolve(one).recordIds, []);
  });

  it("removes damaged records, and goes on with the others", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: DRIVER });
    const [one, two] = await register(store, "one", "two");
    const bad = await store.catalog.add(one, { id: "bad", names: ["bad-name"] });
    await store.catalog.add(two, { id: "good" });
    damage(scratch.root, "bad.json");
    const { records, findings } = store.catalog.list();
    assert.deepEqual(records.map(({ id }) => String(id)), ["good"]);
    assert.deepEqual(findings.map(({ subject }) => subject), ["bad"]);
    assert.throws(() => store.resolve("bad"), (error) => hasCode(error, "CORRUPT"));
    assert.deepEqual(await store.catalog.delete(bad.id), []);
    const onDamaged = await store.catalog.add(one);
    damage(scratch.root, join(digestHex(one), "cache-id"));
    assert.deepEqual(await store.catalog.delete(onDamaged.id), []);
    await store.catalog.add(two, { names: ["bad-name"] });
  });
});

for (const driver of DRIVERS) {
  describe(`removing records on ${driver}`, () => {
    it("removes the layer with its last record", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(layerTar([file("f", "f")])));
      const first = await store.catalog.add(layer.chainId, { names: ["first"] });
      const second = await store.catalog.add(layer.chainId);
      assert.deepEqual(await store.release(layer), []);
      assert.deepEqual(await store.catalog.delete(first.id), []);
      const gone = await store.catalog.delete(second.id);
      assert.deepEqual(gone.map(({ chainId }) => chainId), [layer.chainId]);
      assert.deepEqual(scratch.layerDirs(driver), []);
      await assert.rejects(store.catalog.delete(second.id), (error) => hasCode(error, "NOT_FOUND"));
      assert.throws(() => store.resolve("first"), (error) => hasCode(error, "NOT_FOUND"));
    });

    it("refuses while something stands on the layer and this is its last record", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(layerTar([file("f", "f")])));
      const record = await store.catalog.add(layer.chainId);
      await store.createRWLayer("box", { parent: layer.chainId });
      await assert.rejects(store.catalog.delete(record.id), (error) => {
        assert(hasCode(error, "IN_USE"));
        assert.deepEqual(error.detail.usedBy, ['writable layer "box"']);
        return true;
      });
      const other = await store.catalog.add(layer.chainId);
      assert.deepEqual(await store.catalog.delete(record.id), [], "another record still finds it");
      assert.deepEqual(await store.catalog.delete(other.id, { whenUsed: "remove" }), [], "the writable layer keeps it");
    });

    it("refuses while the layer is mounted and this is its last record", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(layerTar([file("f", "f")])));
      const record = await store.catalog.add(layer.chainId);
      await store.release(layer);
      await store.mount(record.id);
      await assert.rejects(store.catalog.delete(record.id), (error) => hasCode(error, "IN_USE"));
      const [deleted] = await store.catalog.delete(record.id, { whenUsed: "remove" });
      assert.equal(deleted?.chainId, layer.chainId, "the mount was the record's, and went with it");
      assert.deepEqual(store.mounts(), []);
    });
  });
}

async function register(store: LayerStore, ...contents: [string, ...string[]]): Promise<[ChainId, ChainId]> {
  const chainIds: ChainId[] = [];
  for (const content of contents) {
    chainIds.push((await store.register(streamOf(layerTar([file("f", content)])))).chainId);
  }
  return [chainIds[0] ?? NOWHERE, chainIds[1] ?? NOWHERE];
}

/** Tears the file of that name, wherever the store keeps it. */
function damage(root: string, name: string): void {
  const path = readdirSync(root, { recursive: true, encoding: "utf8" }).find((path) => path.endsWith(name));
  assert(path !== undefined && existsSync(join(root, path)));
  writeFileSync(join(root, path), `{"schema":1,`);
}
