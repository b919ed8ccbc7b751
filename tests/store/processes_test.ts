// SPDX-License-Identifier: Apache-2.0
/**
 * Many processes at once on one store. The long form, twenty processes for some two minutes, runs with
 * `STRATA_STRESS=full`.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { it } from "node:test";
import { type LayerStore, parseChainId, parseRecordId } from "../../mod.ts";
import { Child, type StressOrder } from "../support/child.ts";
import { DRIVERS, ScratchRoot } from "../support/scratch_store.ts";

const FULL = process.env["STRATA_STRESS"] === "full";
const PROCESSES = FULL ? 20 : 6;
const STEPS = FULL ? 120 : 24;
/** Of so many processes, one is killed in the midst of its work. */
const KILLED_OF = 3;
const SEED = Number(process.env["STRATA_SEED"] ?? 20240517);

for (const driver of FULL ? DRIVERS : DRIVERS.slice(0, 1)) {
  it(`${PROCESSES} processes leave a store on ${driver} that is clean, complete and can be emptied`, async () => {
    using scratch = new ScratchRoot();
    const orders = Array.from({ length: PROCESSES }, (_, index): StressOrder => {
      const runRoot = join(scratch.dir, "run");
      return { name: `p${index}`, seed: SEED + index, steps: STEPS, root: scratch.root, runRoot, driver };
    });
    const kept = await runAll(orders);
    await using store = await scratch.open({ driver });
    // What killed processes were at in the catalog belongs to nobody until it is asked for.
    for (const { subject, error } of await store.catalog.recover()) assert.equal(error, undefined, subject);
    await requireWhole(store, kept);
    await empty(store);
    assert.deepEqual(leftIn(scratch, driver), {});
    assert.deepEqual((await store.gc({ mode: "plan", minAgeMs: 0 })).outcomes, []);
  });
}

/** Runs processes, kills some; returns the records that must be there, and their layers. */
async function runAll(orders: readonly StressOrder[]): Promise<ReadonlyMap<string, string>> {
  const children = orders.map((order) => new Child(order));
  const kept = new Map<string, string>();
  try {
    await Promise.all(children.map(async (child, index) => {
      const isVictim = index % KILLED_OF === KILLED_OF - 1;
      if (isVictim) {
        await Promise.race([child.ended, pause(2000 + (index * 7919) % (FULL ? 60_000 : 6000))]);
        await child.kill();
      }
      const { code, stderr } = await child.ended;
      const failure = child.words.find((word) => word.type === "failed");
      assert.equal(failure, undefined, JSON.stringify({ seed: orders[index]?.seed, failure }, undefined, 1));
      if (!isVictim) assert.equal(code, 0, stderr);
    }));
  } finally {
    for (const child of children) await child.kill();
  }
  for (const word of children.flatMap(({ words }) => words)) {
    if (word.type === "kept") kept.set(word.recordId, word.chainId);
    if (word.type === "dropping") kept.delete(word.recordId);
  }
  return kept;
}

async function requireWhole(store: LayerStore, kept: ReadonlyMap<string, string>): Promise<void> {
  const { findings, state } = await store.fsck({ depth: "contents" });
  assert.equal(state, "clean", JSON.stringify(findings, undefined, 1));
  const { layers } = store.layers();
  for (const [recordId, chainId] of kept) {
    assert.equal(store.catalog.get(recordId).id, recordId);
    assert(layers.has(parseChainId(chainId)), `lost ${chainId}, which record ${recordId} refers to`);
  }
}

async function empty(store: LayerStore): Promise<void> {
  for (const { target: { record } } of store.mounts()) {
    await store.unmount("name" in record ? record.name : record.chainId, { release: "all" });
  }
  for (const name of store.rwLayers().mounts.keys()) await store.releaseRWLayer(name, { whenMounted: "unmount" });
  for (const { id } of store.catalog.list().records) {
    await store.catalog.delete(parseRecordId(id), { whenUsed: "remove" });
  }
  for (const { state, error } of (await store.gc({ minAgeMs: 0 })).outcomes) {
    assert.equal(state, "removed", error?.message ?? "");
  }
}

/** What there is in directories that must be empty. */
function leftIn(scratch: ScratchRoot, driver: string): Record<string, string[]> {
  const places = ["strata/tmp", "strata/holds", "strata/claims", `image/${driver}/layerdb/sha256`];
  const links = driver === "overlay2" ? ["overlay2/l"] : [];
  const left = [...places, ...links].map((place) => [place, namesIn(join(scratch.root, place))] as const);
  return Object.fromEntries(
    [...left, ["home", scratch.layerDirs(driver).filter((name) => !name.startsWith("."))] as const].filter((
      [, names],
    ) => names.length > 0),
  );
}

/** Writes that were cut short are told from those under way by their age only, so they stay for a minute. */
function namesIn(path: string): string[] {
  return readdirSync(path).filter((name) => !name.startsWith(".tmp-"));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
