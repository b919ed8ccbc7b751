// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { type FsckFinding, LayerStore } from "../../mod.ts";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { parseRecordId } from "../../src/core/ids.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";

const VALUE = new TextEncoder().encode("value");

describe("fsck() of data items", () => {
  it("finds those whose file is missing or has another size; those with other bytes when it is to read them", async () => {
    using scratch = new ScratchRoot();
    await using store = await withItem(scratch);
    const path = itemPath(store);
    assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
    writeFileSync(path, "eulav");
    assert.deepEqual((await store.fsck()).findings, []);
    const [other] = (await store.fsck({ depth: "contents" })).findings;
    assert.deepEqual(codeOf(other), ["damage", "data-item-damaged", "rec", path, "forced"]);
    assert.match(`${other?.problem}; ${other?.remedy}`, /"key" holds other bytes.*strata data set rec key -f FILE/);
    writeFileSync(path, "shorter than it was, or longer");
    assert.match((await store.fsck()).findings[0]?.problem ?? "", /has 30 bytes, and 5 were kept/);
    rmSync(path);
    const missing = await store.fsck();
    assert.equal(missing.state, "damaged");
    assert.match(missing.findings[0]?.problem ?? "", /"key" is missing/);
  });

  it("gives them up by force only, and the others stay", async () => {
    using scratch = new ScratchRoot();
    await using store = await withItem(scratch);
    await store.catalog.setBigData("rec", "sound", streamOf(new TextEncoder().encode("sound")));
    writeFileSync(itemPath(store), "x");
    assert.equal((await store.fsck({ repair: "safe" })).state, "damaged");
    const forced = await store.fsck({ repair: "forced", depth: "contents" });
    assert.deepEqual([forced.state, forced.repaired.map(({ code }) => code)], ["clean", ["data-item-damaged"]]);
    assert.deepEqual(store.catalog.bigDataNames("rec"), ["sound"]);
    assert.ok(!existsSync(itemPath(store)));
  });

  it("tells of what lies among them and is none, and leaves it", async () => {
    using scratch = new ScratchRoot();
    await using store = await withItem(scratch);
    const stray = join(LayerStore.contextOf(store).layout.bigDataDir, ".no-id");
    mkdirSync(stray);
    const { state, findings } = await store.fsck({ repair: "forced" });
    assert.deepEqual([state, ...findings.map(codeOf)], ["clean", ["info", "stray-file", stray, stray, "none"]]);
    assert.ok(existsSync(stray));
  });
});

describe("fsck() of records", () => {
  it("finds one whose writable layer is gone", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await store.catalog.create({ id: "work", access: "writable", mountName: "work" });
    await store.releaseRWLayer("work");
    const { findings } = await store.fsck();
    assert.deepEqual(findings.map(({ code, subject }) => [code, subject]), [["catalog-record-dangling", "work"]]);
    assert.match(findings[0]?.remedy ?? "", /strata rm work/);
    await store.catalog.delete("work");
    assert.equal((await store.fsck()).state, "clean");
  });

  const skip = process.geteuid?.() === 0 ? false : "only root may give files away";
  it("makes anew what one is shown by under ids of its own", { skip }, async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const maps = [{ containerId: 0, hostId: 1000, size: 10 }];
    const tar = layerTar([file("f", "content")]);
    const record = await store.catalog.put({ id: "rec", diff: streamOf(tar), idMappings: { uids: maps, gids: maps } });
    assert.ok(record.target.kind === "layer" && record.target.view !== undefined);
    await store.releaseRWLayer(record.target.view);
    const before = await store.fsck();
    assert.deepEqual(before.findings.map(codeOf).map((facts) => facts.slice(0, 3)), [
      ["repairable", "catalog-view-missing", "rec"],
    ]);
    const after = await store.fsck({ repair: "safe" });
    assert.deepEqual([after.state, after.repaired.length], ["clean", 1]);
    const path = await store.mount("rec");
    assert.equal(readFileSync(join(path, "f"), "utf8"), "content");
    await store.unmount("rec");
    assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes.filter(({ kind }) => kind === "writable layer"), []);
  });
});

async function withItem(scratch: ScratchRoot): Promise<LayerStore> {
  const store = await scratch.open({ driver: "vfs" });
  await store.catalog.create({ id: "rec" });
  await store.catalog.setBigData("rec", "key", streamOf(VALUE));
  return store;
}

function itemPath(store: LayerStore): string {
  const { bigData } = LayerStore.contextOf(store);
  const path = bigData.path(parseRecordId("rec"), digestOf(VALUE));
  assert.ok(path.endsWith(digestHex(digestOf(VALUE))));
  return path;
}

function codeOf(finding: FsckFinding | undefined): readonly unknown[] {
  return [finding?.severity, finding?.code, finding?.subject, finding?.path, finding?.repair];
}
