// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Worker } from "node:worker_threads";
import { findProgram } from "../../src/host/command.ts";
import { Holds } from "../../src/metadata/holds.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";
import { chainIdOf, scratchStore } from "./store_dir.ts";

const a = chainIdOf("a");
const b = chainIdOf("b");
const NO_FLOCK = findProgram("flock") === undefined && "needs the program flock";

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";
const moduleUrl = (path: string) =>
  JSON.stringify(new URL(`../../src/metadata/${path}.${EXTENSION}`, import.meta.url).href);
const HOLD_AND_TELL = `
  const { parentPort, workerData } = require("node:worker_threads");
  (async () => {
    const { Holds } = await import(${moduleUrl("holds")});
    const { StoreLayout } = await import(${moduleUrl("layout")});
    const holds = new Holds(new StoreLayout(workerData.root, "vfs"));
    for (const chainId of workerData.chainIds) {
      holds.add(chainId);
      parentPort.postMessage({ chainId, at: Date.now() });
    }
    holds[Symbol.dispose]();
  })();
`;

describe("Holds", () => {
  it("others see what is held, for as long as it is held; oneself does not", () => {
    using store = scratchStore();
    using others = new Holds(store.layout);
    using mine = new Holds(store.layout);
    assert.equal(existsSync(store.layout.holdsDir), false);
    mine.add(a);
    mine.add(a);
    mine.add(b);
    assert.deepEqual([...others.liveHolds().keys()].sort(), [a, b].sort());
    assert.match(others.liveHolds().get(a)?.[0] ?? "", new RegExp(`^${process.pid}-`));
    assert.equal(mine.liveHolds().size, 0);
    mine.remove(b);
    mine.remove(a);
    assert.deepEqual([...others.liveHolds().keys()], [a]);
    assert.equal(mine.countOf(a), 1);
    mine.remove(a);
    mine.remove(a);
    assert.equal(others.liveHolds().size, 0);
    mine.add(b);
    assert.deepEqual([...others.liveHolds().keys()], [b]);
  });

  it("the file lists the ChainIDs, one per line; disposal removes it", () => {
    using store = scratchStore();
    {
      using mine = new Holds(store.layout);
      mine.add(a);
      mine.add(b);
      const [file = ""] = readdirSync(store.layout.holdsDir).filter((name) => !name.endsWith(".lock"));
      assert.equal(readFileSync(join(store.layout.holdsDir, file), "utf8"), `${a}\n${b}\n`);
    }
    assert.deepEqual(readdirSync(store.layout.holdsDir), []);
  });

  it("what a dead process left holds nothing, stays until removeDead(), and does not hide the living", () => {
    using store = scratchStore();
    using others = new Holds(store.layout);
    using mine = new Holds(store.layout);
    mine.add(a);
    writeFileSync(join(store.layout.holdsDir, "12-ab"), `${b}\n`);
    writeFileSync(join(store.layout.holdsDir, "12-ab.lock"), "");
    writeFileSync(join(store.layout.holdsDir, "13-cd"), "torn");
    writeFileSync(join(store.layout.holdsDir, "14-ef.lock"), "");
    assert.deepEqual([...others.liveHolds().keys()], [a]);
    assert.equal(readdirSync(store.layout.holdsDir).length, 6);
    assert.deepEqual(others.removeDead(), ["12-ab", "13-cd", "14-ef"]);
    assert.equal(readdirSync(store.layout.holdsDir).length, 2);
    assert.deepEqual([...others.liveHolds().keys()], [a]);
  });

  it("another process's hold ends with the process, however it ends", { skip: NO_FLOCK }, async () => {
    using store = scratchStore();
    using mine = new Holds(store.layout);
    mkdirSync(store.layout.holdsDir, { recursive: true });
    const path = join(store.layout.holdsDir, "99-aa");
    writeFileSync(path, `${a}\n`);
    const child = spawn("flock", ["-o", "-x", `${path}.lock`, "sh", "-c", "echo held; exec cat"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    assert.deepEqual(mine.liveHolds(), new Map([[a, ["99-aa"]]]));
    assert.deepEqual(mine.removeDead(), []);
    child.kill("SIGKILL");
    child.stdin.end();
    await once(child, "close");
    assert.equal(mine.liveHolds().size, 0);
    assert.deepEqual(mine.removeDead(), ["99-aa"]);
  });

  it("whoever holds a layer that is being removed waits for the end of the removal", async () => {
    using store = scratchStore();
    using remover = new Holds(store.layout);
    await withWriteLock(store.layout, {}, async (lock) => {
      const removal = remover.announceRemoval(lock, [a]);
      const ended = Date.now() + 300;
      // In a thread of its own: who waits gives nobody of its own process a turn.
      const holder = new Worker(HOLD_AND_TELL, { eval: true, workerData: { root: store.root, chainIds: [b, a] } });
      const words: { chainId: string; at: number }[] = [];
      holder.on("message", (word) => void words.push(word));
      while (remover.liveHolds().get(a) === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      while (Date.now() < ended || words.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(words.map(({ chainId }) => chainId), [b], "the other layer is not being removed");
      removal[Symbol.dispose]();
      await once(holder, "exit");
      // What a thread said may arrive after its end.
      while (words.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.deepEqual(words.map(({ chainId }) => chainId), [b, a]);
    });
    assert.deepEqual(readdirSync(store.layout.holdsDir).filter((name) => name.startsWith("removing")), []);
  });

  it("the notice of a dead remover keeps nobody waiting, and is removed with the dead", () => {
    using store = scratchStore();
    using mine = new Holds(store.layout);
    mkdirSync(store.layout.holdsDir, { recursive: true });
    writeFileSync(join(store.layout.holdsDir, "removing"), `${a}\n`);
    writeFileSync(join(store.layout.holdsDir, "removing.lock"), "");
    mine.add(a);
    assert.equal(mine.countOf(a), 1);
    assert.deepEqual(mine.removeDead(), ["removing"]);
    assert.equal(readdirSync(store.layout.holdsDir).length, 2);
  });
});
