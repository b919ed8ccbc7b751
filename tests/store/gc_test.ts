// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, type GcKind, LayerStore } from "../../mod.ts";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { parseRecordId, randomCacheId } from "../../src/core/ids.ts";
import { directoryClaim, recordClaim } from "../../src/metadata/claims.ts";
import { parseMountName } from "../../src/metadata/mounts.ts";
import { type GcSnapshot, planGc } from "../../src/store/gc_plan.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const NOTHING: GcSnapshot = {
  layers: [],
  userCounts: new Map(),
  orphans: [],
  directories: [],
  named: new Set(),
  needed: new Set(),
  claimed: new Set(),
  debris: [],
  staging: [],
  temporary: [],
  trials: [],
  deadHolds: [],
  deadClaims: [],
  staleCounts: [],
  strayNames: [],
  leftMounts: [],
  leftData: [],
};
const NOW = { nowMs: 10_000_000, minAgeMs: 1000 };

describe("planGc()", () => {
  const [a, b, c] = ["a", "b", "c"].map((name) => digestOf(name) as ChainId) as [ChainId, ChainId, ChainId];
  const layer = (chainId: ChainId, parent?: ChainId, recordedMs = 0) => ({
    chainId,
    ...(parent === undefined ? {} : { parent }),
    cacheId: randomCacheId(),
    sizeBytes: 1,
    recordedMs,
  });

  it("takes a chain from the top down, as far as nothing else needs it", () => {
    const layers = [layer(a), layer(b, a), layer(c, b)];
    const going = (counts: [ChainId, number][]) =>
      planGc({ ...NOTHING, layers, userCounts: new Map(counts) }, NOW).map(({ subject }) => subject);
    assert.deepEqual(going([[a, 1], [b, 1], [c, 0]]), [c, b, a]);
    assert.deepEqual(going([[a, 1], [b, 2], [c, 0]]), [c]);
    assert.deepEqual(going([[a, 1], [b, 1], [c, 1]]), []);
  });

  it("leaves a young layer, and so all below it", () => {
    const layers = [layer(a), layer(b, a, NOW.nowMs - 999)];
    assert.deepEqual(planGc({ ...NOTHING, layers, userCounts: new Map([[a, 1]]) }, NOW), []);
  });

  it("leaves what is to become a part of a layer that somebody is making", () => {
    const cacheId = randomCacheId();
    const debris = [{ path: "/home/part", what: "a part", modifiedMs: 0, use: "none", cacheId }] as const;
    assert.equal(planGc({ ...NOTHING, debris }, NOW).length, 1);
    assert.deepEqual(planGc({ ...NOTHING, debris, claimed: new Set([cacheId]) }, NOW), []);
  });

  it("takes a directory that is unnamed, unneeded, unclaimed and old", () => {
    const [id, other] = [randomCacheId(), randomCacheId()];
    const directories = [{ cacheId: id, modifiedMs: 0 }];
    const plan = (snapshot: Partial<GcSnapshot>) => planGc({ ...NOTHING, directories, ...snapshot }, NOW).length;
    assert.equal(plan({}), 1);
    assert.equal(plan({ named: new Set([other]) }), 1);
    assert.equal(plan({ named: new Set([id]) }), 0);
    assert.equal(plan({ needed: new Set([id]) }), 0);
    assert.equal(plan({ claimed: new Set([id]) }), 0);
    assert.equal(plan({ directories: [{ cacheId: id, modifiedMs: NOW.nowMs - 1 }] }), 0);
  });

  it("takes a dead operation's directory at once, one that nobody claims when it is old, a live one never", () => {
    const entry = { id: "x", dir: "/x", modifiedMs: NOW.nowMs };
    const plan = (state: "live" | "dead" | "unclaimed", modifiedMs = NOW.nowMs) =>
      planGc({ ...NOTHING, staging: [{ ...entry, state, modifiedMs }] }, NOW).length;
    assert.deepEqual([plan("dead"), plan("unclaimed"), plan("unclaimed", 0), plan("live", 0)], [1, 0, 1, 0]);
  });

  it("takes what is left of records when it is old", () => {
    const [record, other] = [parseRecordId("gone"), parseRecordId("other")];
    const mount = { name: parseMountName("m"), record, mountId: randomCacheId() };
    const plan = (ageMs: number) =>
      planGc({
        ...NOTHING,
        leftMounts: [{ ...mount, createdMs: NOW.nowMs - ageMs }],
        leftData: [{ record: other, modifiedMs: NOW.nowMs - ageMs, sizeBytes: 7 }],
      }, NOW).map(({ kind, subject, sizeBytes }) => [kind, subject, sizeBytes]);
    assert.deepEqual(plan(NOW.minAgeMs - 1), []);
    assert.deepEqual(plan(NOW.minAgeMs), [["writable layer", "m", undefined], ["data items", "other", 7]]);
  });

  it("gives a write a minute, whatever age is asked for", () => {
    const temporary = (modifiedMs: number) => [{ path: "/t", what: "an unfinished write", modifiedMs }];
    const plan = (ageMs: number) =>
      planGc({ ...NOTHING, temporary: temporary(NOW.nowMs - ageMs) }, { ...NOW, minAgeMs: 0 }).length;
    assert.deepEqual([plan(59_000), plan(61_000)], [0, 1]);
  });
});

for (const driver of DRIVERS) {
  describe(`gc() on ${driver}`, () => {
    it("removes all kinds of garbage and nothing else; a plan only tells of it", async () => {
      using scratch = new ScratchRoot();
      const needed = await makeGarbage(scratch, driver);
      await using store = await scratch.open({ driver });
      const kinds: readonly GcKind[] = ["layer", "layer", "orphan", "directory", "debris", "staging", "hold", "claim"];
      const planned = await store.gc({ mode: "plan", minAgeMs: 0 });
      assert.deepEqual(planned.outcomes.map(({ kind }) => kind).sort(), [...kinds, "mount count", "name"].sort());
      assert(planned.outcomes.every(({ state }) => state === "planned"));
      assert.equal(store.layers().layers.size, 4);
      const swept = await store.gc({ minAgeMs: 0 });
      assert.deepEqual(
        swept.outcomes.map(({ kind, subject }) => [kind, subject]),
        planned.outcomes.map(({ kind, subject }) => [kind, subject]),
      );
      assert(swept.outcomes.every(({ state }) => state === "removed"), JSON.stringify(swept.outcomes));
      assert.deepEqual([...store.layers().layers.keys()].sort(), [...needed].sort());
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
      assert.equal(scratch.layerDirs(driver).length, 2);
    });

    it("leaves what is young, unless its process is known to be dead", async () => {
      using scratch = new ScratchRoot();
      await makeGarbage(scratch, driver);
      await using store = await scratch.open({ driver });
      const kinds = (await store.gc()).outcomes.map(({ kind }) => kind).sort();
      assert.deepEqual(kinds, ["claim", "hold", "mount count", "name", "orphan", "staging"]);
    });

    it("removes what is left of records that never came or are gone, and of those that are there what they do not list", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { layout, claims } = LayerStore.contextOf(store);
      const base = await store.register(streamOf(tarOf("base")));
      const parent = base.chainId;
      for (const id of ["whole", "lost", "busy", "mounted"]) {
        await store.catalog.create({ id, access: "writable", mountName: id, parent });
        await store.catalog.setBigData(id, "key", streamOf(tarOf(id)));
      }
      await store.mount("mounted");
      writeFileSync(join(layout.bigDataDir, "whole", "0".repeat(64)), "stray");
      for (const id of ["lost", "busy", "mounted"]) rmSync(layout.recordPath(parseRecordId(id)));
      const claim = claims.tryTake(recordClaim(parseRecordId("busy")));
      assert(claim !== undefined);
      assert.deepEqual((await store.gc()).outcomes, [], "all of it is young");
      const found = (await store.gc({ mode: "plan", minAgeMs: 0 })).outcomes;
      const left = [["data items", "lost"], ["data items", "mounted"], ["data items", "whole"], [
        "writable layer",
        "lost",
      ]];
      assert.deepEqual(found.map(({ kind, subject }) => [kind, subject]).sort(), left);
      assert.equal(found.find(({ subject }) => subject === "whole")?.sizeBytes, 5);
      const swept = (await store.gc({ minAgeMs: 0 })).outcomes;
      assert.deepEqual(swept.map(({ state }) => state), ["removed", "removed", "removed", "removed"]);
      assert.deepEqual([...store.rwLayers().mounts.keys()], ["busy", "mounted", "whole"]);
      assert.deepEqual(readdirSync(join(layout.bigDataDir, "whole")).length, 1);
      await store.unmount("mounted");
      claim[Symbol.dispose]();
      const rest = (await store.gc({ minAgeMs: 0 })).outcomes.map(({ kind, subject, state }) => [kind, subject, state]);
      assert.deepEqual(rest.sort(), [
        ["data items", "busy", "removed"],
        ["writable layer", "busy", "removed"],
        ["writable layer", "mounted", "removed"],
      ]);
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
    });

    it("removes what a trial left that was killed before the root was made", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [old, young] = ["4", "5"].map((digit) => join(scratch.root, "..", `.strata-trial-${digit.repeat(64)}`));
      for (const path of [old!, young!]) mkdirSync(join(path, "work"), { recursive: true });
      utimesSync(old!, new Date(0), new Date(0));
      const { outcomes } = await store.gc({ minAgeMs: 0 });
      assert.deepEqual(outcomes.map(({ kind, state }) => [kind, state]), [["trial", "removed"]]);
      assert.deepEqual([existsSync(old!), existsSync(young!)], [false, true]);
    });

    it("leaves what a handle, a claim or a lower layer's place in a stack needs", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const base = await store.register(streamOf(tarOf("base")));
      const held = await other.register(streamOf(tarOf("held")), { parent: base.chainId });
      const { driver: keeper, claims } = LayerStore.contextOf(store);
      const id = randomCacheId();
      using claim = claims.tryTake(directoryClaim(id));
      assert(claim !== undefined);
      keeper.createReadWrite(id, undefined);
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
      assert(keeper.exists(id));
      assert.equal(store.layers().layers.size, 2);
      await other.release(held);
      await keeper.remove(id);
    });
  });
}

/** A store with a layer on a layer that are needed, and one piece of each kind of garbage. */
async function makeGarbage(scratch: ScratchRoot, driver: string): Promise<ChainId[]> {
  await using store = await scratch.open({ driver });
  const { layout, driver: keeper } = LayerStore.contextOf(store);
  const base = await store.register(streamOf(tarOf("base")));
  const needed = await store.register(streamOf(tarOf("needed")), { parent: base.chainId });
  await store.catalog.add(needed.chainId, { names: ["needed"] });
  const unneeded = await store.register(streamOf(tarOf("unneeded")), { parent: base.chainId });
  await store.register(streamOf(tarOf("top")), { parent: unneeded.chainId });
  const orphan = await store.register(streamOf(tarOf("orphan")));
  renameSync(layout.layerDir(orphan.chainId), `${layout.layerDir(orphan.chainId)}-${"1".repeat(64)}-removing`);
  keeper.createReadWrite(randomCacheId(), undefined);
  if (driver === "overlay2") symlinkSync(`../${"2".repeat(64)}/diff`, join(scratch.root, "overlay2/l", "A".repeat(26)));
  else {
    mkdirSync(join(scratch.root, "vfs/baselines"), { recursive: true });
    writeFileSync(join(scratch.root, "vfs/baselines", "2".repeat(64)), "");
  }
  const staging = join(layout.stagingDir, "3".repeat(64));
  mkdirSync(staging);
  const owner = { pid: 1, startTime: 1, bootId: "b", what: "register", created: new Date().toISOString() };
  writeFileSync(join(staging, "owner.json"), JSON.stringify({ schema: 1, ...owner }));
  writeFileSync(join(layout.holdsDir, "12-ab"), `${unneeded.chainId}\n`);
  mkdirSync(layout.claimsDir, { recursive: true });
  writeFileSync(join(layout.claimsDir, `layer-${digestHex(base.chainId)}`), "");
  writeFileSync(join(layout.namesDir, "nobody"), "4".repeat(64));
  const counts = join(scratch.dir, "run/mounts");
  await store.mount(base.chainId);
  await store.unmount(base.chainId);
  const [own = ""] = readdirSync(counts);
  writeFileSync(join(counts, own, "5".repeat(64)), "torn");
  assert(existsSync(layout.namesDir));
  return [base.chainId, needed.chainId];
}

function tarOf(content: string): Uint8Array {
  return layerTar([file(content, content)]);
}
