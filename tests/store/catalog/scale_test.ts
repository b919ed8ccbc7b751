// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { chainOn } from "../../../src/core/chain_id.ts";
import { type ChainId, digestOf, parseDiffId } from "../../../src/core/digest.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { calls } from "../../../src/host/libc_binding.ts";
import { StoreLayout } from "../../../src/metadata/layout.ts";
import { allUses } from "../../../src/store/all_uses.ts";
import { LayerStore } from "../../../src/store/layer_store.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { makeManyRecords, recordIdOf, recordNameOf } from "../../support/many_records.ts";
import { ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const FEW = 10;
const MANY = 1000;
/** What a call may be more or less by chance, such as a wait for a lock. */
const SLACK = 8;

describe("a store of many records", () => {
  it("looks one record up, names it and removes it with as many calls as among few", async () => {
    const few = await countsIn(FEW);
    const many = await countsIn(MANY);
    for (const [what, count] of many) {
      assert.ok(count <= (few.get(what) ?? 0) + SLACK, `${what}: ${count} calls, and ${few.get(what)} among few`);
    }
  });

  it("reads one record of very many that stand for one layer, and says that there are others", async () => {
    const few = await countsOnOneLayer(150);
    const many = await countsOnOneLayer(450);
    for (const [what, count] of many) {
      assert.ok(count <= (few.get(what) ?? 0) + SLACK, `${what}: ${count} calls, and ${few.get(what)} among few`);
    }
  });

  it("lists the records with one call each, and reads none of the layers' own", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await makeManyRecords(scratch.root, MANY);
    await using store = await scratch.open();
    const count = await countCalls(() => assert.equal(store.catalog.layers().length, MANY));
    assert.ok(count < 1.1 * MANY, `${count} calls`);
    assert.equal(store.catalog.layers().some(({ missing }) => missing), false);
  });

  it("finds the layers that no record stands for without a further call, and reads those alone", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await makeManyRecords(scratch.root, MANY);
    await using store = await scratch.open();
    const known = await countCalls(() => [store.catalog.entries(), store.rwLayers()]);
    assert.equal(await countCalls(() => store.contents()), known);
    await store.register(streamOf(layerTar([file("a", "alpha")])));
    const perLayer = await countCalls(() => assert.equal(store.contents().layers.length, 1)) - known;
    assert.ok(perLayer > 0 && perLayer < 20, `${perLayer} calls for one layer`);
  });

  it("asks a layer where its record is of an earlier version and does not repeat it", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await using store = await scratch.open({ driver: "vfs" });
    const { chainId, diffId } = await store.register(streamOf(layerTar([file("a", "alpha")])));
    const { layout } = LayerStore.contextOf(store);
    const { content: _content, ...record } = await store.catalog.add(chainId, { id: "one" });
    writeFileSync(layout.recordPath(record.id), JSON.stringify({ schema: 1, ...record }));
    assert.equal(store.catalog.layers()[0]?.content?.diffId, diffId);
    renameSync(layout.layerDir(chainId), `${scratch.dir}/gone`);
    assert.deepEqual(store.catalog.layers().map(({ content, missing }) => [content, missing]), [[undefined, true]]);
  });

  it("hides no record behind one that is torn, foreign or large", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await makeManyRecords(scratch.root, FEW);
    const { recordsDir } = new StoreLayout(scratch.root, "vfs");
    const path = (index: number) => `${recordsDir}/${recordIdOf(index)}.json`;
    writeFileSync(path(0), "{");
    renameSync(path(1), `${recordsDir}/other.json`);
    rmSync(path(2));
    writeFileSync(`${recordsDir}/no-record`, "");
    await using store = await scratch.open();
    await store.catalog.setMetadata(recordIdOf(3), "x".repeat(100_000));
    const { entries, findings } = store.catalog.entries();
    assert.deepEqual(entries.map(({ id }) => id), [3, 4, 5, 6, 7, 8, 9].map(recordIdOf));
    assert.equal(entries[0]?.metadata.length, 100_000);
    assert.deepEqual(
      findings.map(({ subject, severity }) => [subject, severity]).sort(),
      [
        [recordIdOf(0), "broken"],
        ["other", "broken"],
        ["no-record", "stray"],
      ].sort(),
    );
  });
});

describe("the note of who refers to a layer", () => {
  it("is not believed once somebody else has changed the records, and is made anew by the next writer", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await using store = await scratch.open({ driver: "vfs" });
    const { users, layout } = LayerStore.contextOf(store);
    const base = await store.register(streamOf(layerTar([file("a", "alpha")])));
    assert.equal(users.isComplete(), true);
    const child = writeAsDocker(layout, base.chainId);
    assert.equal(users.isComplete(), false);
    assert.deepEqual(usersOf(store, base.chainId), ["this process", `layer ${child}`]);
    assert.deepEqual(await store.release(base), []);
    assert.equal(users.isComplete(), true);
    assert.deepEqual(users.of("layer", base.chainId), [child]);
    rmSync(layout.layerDir(child), { recursive: true });
    assert.deepEqual((await store.release(store.get(base.chainId))).map(({ chainId }) => chainId), [base.chainId]);
  });

  it("says who may refer to a layer, and the records decide", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await using store = await scratch.open({ driver: "vfs" });
    const { users } = LayerStore.contextOf(store);
    const layer = await store.register(streamOf(layerTar([file("a", "alpha")])));
    const { chainId } = layer;
    await store.catalog.add(chainId, { id: "one" });
    for (const kind of ["record", "layer", "writable"] as const) users.add({ kind, chainId, who: "ghost" });
    assert.deepEqual(users.of("record", chainId), ["ghost", "one"]);
    assert.deepEqual(usersOf(store, chainId), ["this process", "record one"]);
    await store.createRWLayer("work", { parent: chainId });
    assert.deepEqual(usersOf(store, chainId), ["this process", 'writable layer "work"', "record one"]);
    await store.releaseRWLayer("work");
    await store.catalog.delete("one");
    assert.deepEqual(usersOf(store, chainId), ["this process"]);
    assert.deepEqual(users.of("writable", chainId), ["ghost"]);
  });

  it("is not made while a damaged record may refer to any layer", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await using store = await scratch.open({ driver: "vfs" });
    const { users, layout } = LayerStore.contextOf(store);
    const layer = await store.register(streamOf(layerTar([file("a", "alpha")])));
    await store.catalog.add(layer.chainId, { id: "one" });
    writeFileSync(`${layout.recordsDir}/torn.json`, "{");
    await store.catalog.addNames("one", ["name"]);
    assert.equal(users.isComplete(), false);
    assert.deepEqual(usersOf(store, "name"), ["this process", "record one"]);
    assert.equal(store.catalog.lookup("on"), "one");
    await store.catalog.delete("torn");
    await store.catalog.removeNames("one", ["name"]);
    assert.equal(users.isComplete(), true);
    assert.equal(store.catalog.lookup("on"), "one");
  });

  it("is complete after everything that changes records", async () => {
    using scratch = new ScratchRoot(LayerStore);
    await using store = await scratch.open({ driver: "vfs" });
    const { users } = LayerStore.contextOf(store);
    const made = async (act: () => Promise<unknown>): Promise<void> => {
      await act();
      assert.equal(users.isComplete(), true);
      const listed = (["record", "layer", "writable"] as const).flatMap((kind) =>
        (users.usedLayers(kind) ?? []).flatMap((chainId) =>
          (users.of(kind, chainId) ?? []).map((who) => ({ kind, chainId, who }))
        )
      );
      const { uses } = allUses(LayerStore.contextOf(store));
      assert.deepEqual(listed.map((use) => JSON.stringify(use)).sort(), uses.map((use) => JSON.stringify(use)).sort());
    };
    const tar = (name: string) => streamOf(layerTar([file(name, name)]));
    await made(() => store.catalog.put({ id: "base", diff: tar("a") }));
    await made(() => store.catalog.put({ id: "top", parent: "base", diff: tar("b") }));
    await made(() => store.catalog.create({ id: "awaiting", parent: "top" }));
    await made(() => store.catalog.applyDiff("awaiting", tar("c")));
    await made(() => store.catalog.create({ id: "work", parent: "top", access: "writable" }));
    await made(() => store.catalog.delete("awaiting"));
    await made(() => store.catalog.delete("work"));
    await made(() => store.catalog.delete("top"));
    await made(() => store.gc({ minAgeMs: 0 }));
    await made(() => store.fsck({ repair: "forced" }));
    await made(() => store.catalog.wipe());
    assert.equal(store.layers().layers.size, 0);
  });
});

function usersOf(store: LayerStore, ref: string): readonly string[] {
  const inspection = store.inspect(ref);
  return inspection.kind === "layer" ? inspection.usedBy : [];
}

/** A layer on another, as Docker records it. */
function writeAsDocker(layout: StoreLayout, parent: ChainId): ChainId {
  const diffId = parseDiffId(digestOf("docker's"));
  const chainId = chainOn(parent, diffId);
  mkdirSync(layout.layerDir(chainId));
  const files = { diff: diffId, size: "1", "cache-id": randomCacheId(), parent, "tar-split.json.gz": "" };
  for (const [name, text] of Object.entries(files)) writeFileSync(`${layout.layerDir(chainId)}/${name}`, text);
  return chainId;
}

/** How many calls each verb takes in a store of so many records. */
async function countsIn(size: number): Promise<Map<string, number>> {
  using scratch = new ScratchRoot(LayerStore);
  await makeManyRecords(scratch.root, size);
  const at = (index: number): string => recordIdOf(size - 1 - index);
  // The first writer of a store that others have filled reads all of it once.
  await withStore(scratch, (store) => store.catalog.addNames(at(0), ["first"]));
  const verbs: Record<string, (store: LayerStore) => unknown> = {
    "open": () => {},
    "inspect by id": (store) => store.inspect(at(0)),
    "inspect by name": (store) => store.inspect(recordNameOf(size - 1)),
    "get": (store) => store.catalog.get(at(1)),
    "exists": (store) => store.catalog.exists(recordNameOf(size - 2)),
    "add a name": (store) => store.catalog.addNames(at(1), ["second"]),
    "set text": (store) => store.catalog.setMetadata(at(1), "text"),
    "register": (store) => store.catalog.put({ id: "new", diff: streamOf(layerTar([file("a", "alpha")])) }),
    "create": (store) => store.catalog.create({ id: "work", parent: "new", access: "writable" }),
    "remove a writable layer": (store) => store.catalog.delete("work"),
    "remove": (store) => store.catalog.delete("new"),
  };
  const counts = new Map<string, number>();
  for (const [what, act] of Object.entries(verbs)) {
    counts.set(what, await countCalls(() => withStore(scratch, act)));
  }
  return counts;
}

/** The same where all records stand for one layer, as all empty ones do. */
async function countsOnOneLayer(size: number): Promise<Map<string, number>> {
  using scratch = new ScratchRoot(LayerStore);
  await using store = await scratch.open({ driver: "vfs", durability: "none" });
  for (let index = 0; index < size; index++) await store.catalog.create({ id: `r${index}`, names: [`name-${index}`] });
  const inspected = (ref: string) => () => {
    const inspection = store.inspect(ref);
    assert.equal(inspection.kind, "layer");
    if (inspection.kind !== "layer") return;
    assert.deepEqual(inspection.records.map(({ id }) => id), [`r${size - 1}`]);
    assert.deepEqual([inspection.usedBy.length, inspection.usedBy.at(-1)], [101, "others"]);
  };
  const verbs: Record<string, () => unknown> = {
    "inspect by id": inspected(`r${size - 1}`),
    "inspect by name": inspected(`name-${size - 1}`),
    "apply a diff": () => store.catalog.applyDiff("r1", streamOf(layerTar([file("a", "alpha")]))),
    "remove": () => store.catalog.delete("r0"),
  };
  const counts = new Map<string, number>();
  for (const [what, act] of Object.entries(verbs)) counts.set(what, await countCalls(act));
  return counts;
}

async function withStore(scratch: ScratchRoot, act: (store: LayerStore) => unknown): Promise<void> {
  await using store = await scratch.open({ driver: "vfs" });
  await act(store);
}

/** Opens and looks: each file that is read takes one of them at least. Those of threads are not counted. */
async function countCalls(act: () => unknown): Promise<number> {
  const libc = calls();
  const { openat, statx } = libc;
  let count = 0;
  libc.openat = (...args) => (count++, openat(...args));
  libc.statx = (...args) => (count++, statx(...args));
  try {
    await act();
    assert.notEqual(count, 0, "the calls are another copy's of the module");
    return count;
  } finally {
    Object.assign(libc, { openat, statx });
  }
}
