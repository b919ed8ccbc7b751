// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { it } from "node:test";
import { file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { needsPrograms } from "../../support/interop.ts";
import { killCatalogChild, NAMING_CALLS } from "../../support/kill_catalog_child.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { traceOf } from "../../support/trace.ts";

const BASE = layerTar([file("base", "base\n"), file("gone", "1")]);
const TOP = layerTar([file("top", "top\n"), whiteout("gone")]);
/** Every so many calls the process is killed. */
const STEP = Number(process.env["STRATA_CRASH_STEP"] ?? 11);

it("adopting that is killed leaves no record half here, and can be done again", needsPrograms("strace"), async (t) => {
  using shelf = new ScratchRoot();
  {
    await using other = await shelf.open({ driver: "vfs" });
    await other.catalog.put({ id: "base-id", names: ["base"], diff: streamOf(BASE) });
    const bigData = new Map([["note", new TextEncoder().encode("kept")]]);
    await other.catalog.put({ id: "top-id", names: ["top"], parent: "base", diff: streamOf(TOP), bigData });
  }
  const before = traceOf(shelf.root);
  let killed = 0;
  for (const calls of NAMING_CALLS) {
    for (let nth = 1;; nth += STEP) {
      using scratch = new ScratchRoot();
      const order = { task: "adopt", root: scratch.root, runRoot: join(scratch.dir, "run"), from: shelf.root } as const;
      if (killCatalogChild(order, { calls, nth }) === "ended") break;
      killed++;
      await t.test(`at ${calls} ${nth}`, () => checkAfterCrash(scratch, shelf.root));
    }
  }
  assert(killed >= NAMING_CALLS.length, "the process was never killed");
  assert.deepEqual(traceOf(shelf.root), before);
});

async function checkAfterCrash(scratch: ScratchRoot, from: string): Promise<void> {
  await using store = await scratch.open({ driver: "vfs" });
  const { catalog } = store;
  const come = catalog.layers().map(({ id }) => id);
  assert(["", "base-id", "base-id,top-id"].includes(come.join()), come.join());
  const steps = await catalog.recover();
  assert.deepEqual(steps.filter(({ error }) => error !== undefined), []);
  await store.gc({ minAgeMs: 0 });
  assert.deepEqual((await store.fsck({ depth: "contents" })).findings.map(({ problem }) => problem), []);
  assert.deepEqual(catalog.layers().map(({ id }) => id), come);
  assert.deepEqual(scratch.leftovers(), []);
  const { adopted, present, failed } = await store.adopt({ from, refs: "all" });
  assert.deepEqual(failed, []);
  assert.deepEqual([...present, ...adopted].map(({ id }) => id), ["base-id", "top-id"]);
  assert.deepEqual(await bytesOf(catalog.diff("top")), TOP);
  assert.deepEqual(await bytesOf(catalog.bigData("top", "note")), new TextEncoder().encode("kept"));
  for (const id of ["top-id", "base-id"]) await catalog.delete(id);
  assert.deepEqual([store.layers().layers.size, scratch.layerDirs("vfs"), scratch.leftovers()], [0, [], []]);
  rmSync(scratch.root, { recursive: true });
}
