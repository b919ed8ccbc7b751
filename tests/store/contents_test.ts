// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, LayerStore, type StoreContents } from "../../mod.ts";
import { digestHex } from "../../src/core/digest.ts";
import { parseRecordId } from "../../src/core/ids.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { changedPaths, changeListing } from "../support/change_listing.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const tarOf = (name: string): Uint8Array => layerTar([file(name, name)]);
const A = tarOf("a");
const B = tarOf("b");
const C = tarOf("c");
const D = tarOf("d");

/** A stack, bottom to top, without records. */
async function fill(scratch: ScratchRoot, ...tars: Uint8Array[]): Promise<ChainId[]> {
  await using store = await scratch.open({ driver: "vfs" });
  return await registerAll(store, tars);
}

async function registerAll(store: LayerStore, tars: readonly Uint8Array[]): Promise<ChainId[]> {
  const chain: ChainId[] = [];
  for (const tar of tars) {
    const parent = chain.at(-1);
    chain.push((await store.register(streamOf(tar), parent === undefined ? {} : { parent })).chainId);
  }
  return chain;
}

function layersOf({ layers }: StoreContents): string[] {
  return layers.map(({ layer, root }) => `${layer.chainId} ${root ?? "own"}`);
}

function problemsOf({ findings }: StoreContents): string[] {
  return findings.map(({ severity, kind, subject }) => `${severity} ${kind} ${subject}`).sort();
}

function recordDir(scratch: ScratchRoot, chainId: ChainId): string {
  return join(scratch.root, "image/vfs/layerdb/sha256", digestHex(chainId));
}

describe("what a store holds", () => {
  it("is its records, the layers that none stands for, and its writable layers", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const [base, top] = await registerAll(store, [A, B]);
    await store.catalog.add(top!, { id: "top" });
    await store.createRWLayer("work", { parent: top! });
    const contents = store.contents();
    assert.deepEqual(contents.entries, store.catalog.entries().entries);
    assert.deepEqual(layersOf(contents), [`${base} own`]);
    assert.deepEqual(contents.layers[0]?.layer, store.layers().layers.get(base!));
    assert.deepEqual(contents.mounts.map(({ mount, root }) => [mount.name, mount.parent, root]), [
      ["work", top, undefined],
    ]);
    assert.deepEqual([contents.findings, store.roots()], [[], []]);
  });

  it("names what of it is damaged, and hides nothing behind it", async () => {
    using scratch = new ScratchRoot();
    const [base, middle, top] = await fill(scratch, A, B, C);
    const [sound] = await fill(scratch, D);
    writeFileSync(join(recordDir(scratch, middle!), "size"), "many");
    await using store = await scratch.open({ driver: "vfs" });
    const contents = store.contents();
    assert.deepEqual(layersOf(contents), [base, sound].sort().map((chainId) => `${chainId} own`));
    assert.deepEqual(problemsOf(contents), [middle, top].map((chainId) => `broken layer ${chainId}`).sort());
    rmSync(recordDir(scratch, middle!), { recursive: true });
    assert.deepEqual(problemsOf(store.contents()), [`broken layer ${top}`]);
  });

  it("includes what a damaged record stood for, and not what a record has lost", async () => {
    using scratch = new ScratchRoot();
    const [one, two] = [...await fill(scratch, A), ...await fill(scratch, B)];
    await using store = await scratch.open({ driver: "vfs" });
    await store.catalog.add(one!, { id: "one" });
    await store.catalog.add(two!, { id: "two" });
    writeFileSync(LayerStore.contextOf(store).layout.recordPath(parseRecordId("one")), "{");
    renameSync(recordDir(scratch, two!), `${scratch.dir}/gone`);
    const contents = store.contents();
    assert.deepEqual(contents.entries.map(({ id, missing }) => [id, missing]), [["two", true]]);
    assert.deepEqual(layersOf(contents), [`${one} own`]);
    assert.deepEqual(problemsOf(contents), ["broken record one"]);
  });
});

describe("what further roots hold", () => {
  it("comes after the own, in the order in which they were given, and once", async () => {
    using scratch = new ScratchRoot();
    using first = new ScratchRoot();
    using second = new ScratchRoot();
    const [a, ab] = await fill(first, A, B);
    const [, ac] = await fill(second, A, C);
    const [d] = await fill(second, D);
    const [own] = await fill(scratch, D);
    assert.equal(own, d);
    const before = [first, second].map(({ root }) => changeListing(root));
    {
      const readOnlyRoots = [first.root, second.root];
      await using store = await scratch.open({ driver: "vfs", readOnlyRoots });
      const sorted = [a, ab].sort().map((chainId) => `${chainId} ${first.root}`);
      assert.deepEqual(layersOf(store.contents()), [`${d} own`, ...sorted, `${ac} ${second.root}`]);
      for (const { layer, root } of store.contents().layers) {
        const inspection = store.inspect(layer.chainId);
        assert.deepEqual([inspection.root, inspection.kind === "layer" && inspection.layer], [root, layer]);
      }
      assert.deepEqual(await bytesOf(store.export(ac!)), C);
      assert.deepEqual(
        store.roots().map(({ path, kind, driver, layers, rwLayers }) => [
          path,
          kind,
          driver,
          [...layers().layers.keys()],
          layers().broken.length + rwLayers().mounts.size,
        ]),
        [[first.root, "strata", "vfs", [a, ab].sort(), 0], [second.root, "strata", "vfs", [a, ac, d].sort(), 0]],
      );
    }
    const after = [first, second].map(({ root }) => changeListing(root));
    assert.deepEqual(before.flatMap((listing, index) => changedPaths(listing, after[index]!)), []);
  });

  it("is hidden by records and damage before it, as it is when it is asked for", async () => {
    using scratch = new ScratchRoot();
    using first = new ScratchRoot();
    using second = new ScratchRoot();
    const [a] = await fill(first, A);
    const [b] = await fill(first, B);
    for (const tar of [A, B, C]) await fill(second, tar);
    const [c] = await fill(second, C);
    writeFileSync(join(recordDir(first, a!), "cache-id"), "../elsewhere");
    {
      await using store = await first.open({ driver: "vfs" });
      await store.catalog.add(b!, { id: "b" });
    }
    await using store = await scratch.open({ driver: "vfs", readOnlyRoots: [first.root, second.root] });
    const contents = store.contents();
    assert.deepEqual(contents.entries.map(({ id, root }) => [id, root]), [["b", first.root]]);
    assert.deepEqual(layersOf(contents), [`${c} ${second.root}`]);
    assert.deepEqual(problemsOf(contents), [`broken layer ${a}`]);
    assert.throws(() => store.inspect(a!), { code: "CORRUPT" });
  });

  it("is told of without what is damaged, which is named", async () => {
    using scratch = new ScratchRoot();
    using first = new ScratchRoot();
    using second = new ScratchRoot();
    const [a] = await fill(first, A);
    const [b] = await fill(second, B);
    {
      await using store = await first.open({ driver: "vfs" });
      await store.catalog.add(a!, { id: "a" });
      await store.createRWLayer("box", {});
    }
    const layerDb = join(first.root, "image/vfs/layerdb");
    const records = join(first.root, "image/vfs/strata/catalog/records");
    writeFileSync(join(records, readdirSync(records)[0]!), "{");
    writeFileSync(join(layerDb, "mounts/box/mount-id"), "none");
    await using store = await scratch.open({ driver: "vfs", readOnlyRoots: [first.root, second.root] });
    const contents = store.contents();
    assert.deepEqual(layersOf(contents), [`${a} ${first.root}`, `${b} ${second.root}`]);
    assert.deepEqual(problemsOf(contents), ["broken mount box", "broken record a"]);
    assert.deepEqual(contents.mounts, []);
    rmSync(join(layerDb, "sha256"), { recursive: true });
    writeFileSync(join(layerDb, "sha256"), "");
    assert.deepEqual(layersOf(store.contents()), [`${b} ${second.root}`]);
    assert.deepEqual(problemsOf(store.contents()), [`broken layer ${first.root}`, "broken record a"]);
  });
});

for (const driver of DRIVERS) {
  describe(`a writable layer elsewhere that no record stands for, on ${driver}`, () => {
    it("is mounted for reading, and nothing is left of that", async () => {
      using scratch = new ScratchRoot();
      using shelf = new ScratchRoot();
      {
        await using store = await shelf.open({ driver });
        const { chainId } = await store.register(streamOf(A));
        await store.createRWLayer("box", {
          parent: chainId,
          initFunction: (path) => mkdirSync(join(path, "made")),
        });
        await store.applyDiff("box", streamOf(B));
      }
      const before = changeListing(shelf.root);
      {
        await using store = await scratch.open({ driver, readOnlyRoots: [shelf.root] });
        assert.deepEqual(store.contents().mounts.map(({ mount, root }) => [mount.name, root]), [["box", shelf.root]]);
        await assert.rejects(store.unmount("box"), { code: "NOT_FOUND" });
        const path = await store.mount("box");
        try {
          assert.deepEqual(readdirSync(path).sort(), ["a", "b", "made"]);
          assert.equal(readFileSync(join(path, "b"), "utf8"), "b");
          if (driver === "overlay2") assert.throws(() => writeFileSync(join(path, "b"), "changed"));
          assert.equal(await store.mount("box"), path);
          assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
          assert.deepEqual(await store.catalog.recover(), []);
          assert.equal(await store.unmount("box"), 1);
        } finally {
          assert.equal(await store.unmount(path), 0);
        }
        assert.deepEqual([store.rwLayers().mounts.size, store.layers().layers.size], [0, 0]);
      }
      assert.deepEqual(scratch.layerDirs(driver), []);
      assert.deepEqual(changedPaths(before, changeListing(shelf.root)), []);
    });
  });
}
