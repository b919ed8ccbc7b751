// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { WorkerPool } from "../../src/worker/pool.ts";

describe("the threads of a pool", () => {
  it("step back behind the others of the process, unless they are told not to", async () => {
    const before = niceThreads();
    await using full = new WorkerPool({ pace: "full" });
    await full.run("sync", { dirs: [tmpdir()] });
    assert.equal(niceThreads(), before);
    await using background = new WorkerPool();
    await background.run("sync", { dirs: [tmpdir()] });
    assert(niceThreads() > before);
    assert.equal(nicenessOf(`/proc/self/task/${process.pid}`), 0, "the main thread keeps its own");
  });

  it("end with it, and those of other pools go on", async () => {
    await using other = new WorkerPool({ pace: "full" });
    const before = niceThreads();
    const pool = new WorkerPool();
    await Promise.all([pool, pool, other].map((each) => each.run("sync", { dirs: [tmpdir()] })));
    assert(niceThreads() > before);
    await pool[Symbol.asyncDispose]();
    // A runtime may tell of a thread's end a moment before the kernel has seen it.
    while (niceThreads() > before) await setTimeout(10);
    await other.run("sync", { dirs: [tmpdir()] });
  });
});

function niceThreads(): number {
  return readdirSync("/proc/self/task").filter((id) => nicenessOf(`/proc/self/task/${id}`) === 5).length;
}

/** Field 19 of proc_pid_stat(5); `undefined` when the thread has ended meanwhile. */
function nicenessOf(task: string): number | undefined {
  try {
    const stat = readFileSync(`${task}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19 - 3]);
  } catch {
    return undefined;
  }
}
