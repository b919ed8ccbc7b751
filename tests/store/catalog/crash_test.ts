// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { hasCode } from "../../../mod.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import type { CatalogOrder } from "../../support/catalog_child.ts";
import { runtime } from "../../support/child.ts";
import { needsPrograms } from "../../support/interop.ts";
import { killCatalogChild, NAMING_CALLS } from "../../support/kill_catalog_child.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const KEPT = layerTar([file("kept", "kept\n")]);
const FIRST = new TextEncoder().encode("first");
/** Every so many calls the process is killed. */
const STEP = Number(process.env["STRATA_CRASH_STEP"] ?? 19);

describe("a process that is killed at its catalog", () => {
  it("leaves what `recover` and `gc` remove, and nothing broken", needsPrograms("strace"), async (t) => {
    using scratch = new ScratchRoot();
    {
      await using store = await scratch.open({ driver: "vfs" });
      await store.catalog.put({
        id: "kept",
        names: ["first"],
        diff: streamOf(KEPT),
        bigData: new Map([["item", FIRST]]),
      });
    }
    const pristine = join(scratch.dir, "pristine");
    cpSync(scratch.root, pristine, { recursive: true });
    for (const calls of NAMING_CALLS) {
      for (let nth = 1;; nth += STEP) {
        rmSync(scratch.root, { recursive: true });
        cpSync(pristine, scratch.root, { recursive: true });
        const order = { task: "verbs", root: scratch.root, runRoot: join(scratch.dir, "run") } as const;
        const outcome = killCatalogChild(order, { calls, nth });
        if (outcome === "ended") break;
        await t.test(`at ${calls} ${nth}`, () => checkAfterCrash(scratch));
      }
    }
  });
});

async function checkAfterCrash(scratch: ScratchRoot): Promise<void> {
  await using store = await scratch.open({ driver: "vfs" });
  const { catalog } = store;
  const before = catalog.layers();
  const steps = await catalog.recover();
  assert.deepEqual(steps.filter(({ error }) => error !== undefined), []);
  await store.gc({ minAgeMs: 0 });
  const { findings } = await store.fsck({ depth: "contents" });
  assert.deepEqual(findings.map(({ subject, problem }) => `${subject} ${problem}`), []);
  assert.deepEqual(catalog.layers(), before, "no record went or came");
  const kept = catalog.get("kept");
  assert.deepEqual([["first"], ["other", "names"]].filter((names) => names.join() === kept.names.join()).length, 1);
  for (const name of kept.names) assert.equal(catalog.get(name).id, "kept");
  const item = new TextDecoder().decode(await bytesOf(catalog.bigData("kept", "item")));
  assert(["first", "second"].includes(item), item);
  for (const { id, target, bigData = [] } of before) {
    if (target.kind === "layer") assert.equal((await store.verify(target.chainId)).state, "ok");
    for (const { key } of bigData) await bytesOf(catalog.bigData(id, key));
  }
  assert.deepEqual(scratch.leftovers(), []);
  // What was cut short can be done again.
  for (const { id } of [...before].reverse()) await catalog.delete(id);
  assert.deepEqual([store.layers().layers.size, scratch.layerDirs("vfs")], [0, []]);
}

describe("processes that change one record at once", () => {
  it("lose nothing of each other's", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await store.catalog.put({ id: "shared", diff: streamOf(KEPT) });
    const rounds = 8;
    const names = ["one", "two", "three"];
    await Promise.all(names.map(async (name) => {
      const order: CatalogOrder = {
        task: "contend",
        root: scratch.root,
        runRoot: join(scratch.dir, "run"),
        name,
        rounds,
      };
      const [program = "", ...args] = [...runtime("catalog_child"), JSON.stringify(order)];
      await promisify(execFile)(program, args);
    }));
    const expected = names.flatMap((name) => Array.from({ length: rounds }, (_, round) => `${name}-${round}`)).sort();
    const record = store.catalog.get("shared");
    assert.deepEqual(Object.keys(record.flags).sort(), expected);
    assert.deepEqual([...record.names].sort(), expected);
    assert.deepEqual(record.bigData?.map(({ key }) => key).sort(), expected);
    for (const key of expected) {
      assert.equal(new TextDecoder().decode(await bytesOf(store.catalog.bigData("shared", key))), key);
      assert.equal(store.catalog.get(key).id, "shared");
    }
    assert.deepEqual((await store.fsck({})).findings, []);
  });
});

const IS_ROOT = process.getuid?.() === 0;

describe("a full disk under the catalog", { skip: IS_ROOT ? false : "mounting a small file system takes root" }, () => {
  it("refuses what needs room, says so, and loses nothing", async () => {
    using scratch = new ScratchRoot();
    mkdirSync(scratch.root);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=0711", "tmpfs", scratch.root]);
    try {
      await using store = await scratch.open({ driver: "vfs" });
      const { catalog } = store;
      await catalog.put({ id: "kept", names: ["first"], diff: streamOf(KEPT), bigData: new Map([["item", FIRST]]) });
      await catalog.create({ id: "awaiting", parent: "kept" });
      const before = [catalog.layers(), (await store.fsck({})).findings];
      const ballast = join(scratch.root, "ballast");
      const { bavail, bsize } = statfsSync(scratch.root);
      writeFileSync(ballast, new Uint8Array(bavail * bsize));
      const large = () => streamOf(new Uint8Array(100_000).fill(7));
      const changes: Record<string, () => Promise<unknown>> = {
        put: () => catalog.put({ id: "new", names: ["new"], diff: streamOf(layerTar([file("new", "new")])) }),
        create: () => catalog.create({ id: "new", parent: "kept", access: "writable" }),
        add: () => catalog.add(store.resolveChain("kept"), { id: "new", names: ["new"] }),
        applyDiff: () => catalog.applyDiff("awaiting", streamOf(layerTar([file("more", "more")]))),
        setBigData: () => catalog.setBigData("kept", "item", large()),
        addNames: () => catalog.addNames("kept", ["second"]),
        setFlag: () => catalog.setFlag("kept", "flag", "x".repeat(10_000)),
        setMetadata: () => catalog.setMetadata("kept", "x".repeat(10_000)),
      };
      for (const [what, change] of Object.entries(changes)) {
        await assert.rejects(
          change(),
          (error) => hasCode(error, "NO_SPACE") && error.message.includes(scratch.root),
          what,
        );
        assert.deepEqual(catalog.layers(), before[0], what);
      }
      assert.deepEqual(await bytesOf(catalog.bigData("kept", "item")), FIRST);
      await catalog.delete("awaiting");
      rmSync(ballast);
      assert.deepEqual((await store.fsck({})).findings, before[1]);
      assert.deepEqual([scratch.leftovers(), await catalog.recover()], [[], []]);
      await changes["setBigData"]!();
      await changes["addNames"]!();
      assert.deepEqual(catalog.get("second").names, ["second", "first"]);
    } finally {
      execFileSync("umount", ["-l", scratch.root]);
    }
    assert(existsSync(scratch.dir));
  });
});
