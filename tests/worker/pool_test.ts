// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { hasCode } from "../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { AbortFlag } from "../../src/worker/abort_flag.ts";
import type { JobRequest } from "../../src/worker/job_map.ts";
import { WorkerPool } from "../../src/worker/pool.ts";
import { Child } from "../support/child.ts";

const NOWHERE = "/nonexistent/directory";

describe("a pool of threads", () => {
  it("uses its threads again", async () => {
    await using pool = new WorkerPool();
    await pool.run("sync", { dirs: [tmpdir()] });
    const before = threadCount();
    for (let turn = 0; turn < 10; turn++) await pool.run("sync", { dirs: [tmpdir()] });
    assert(threadCount() < before + 5, `${before} threads became ${threadCount()}`);
  });

  it("runs as many jobs at once as there are", async () => {
    await using pool = new WorkerPool();
    const waiting = [1, 2, 3].map(() => neverEnding());
    const results = Promise.allSettled(
      waiting.map(({ request, ports }) => pool.run("decode", request, { transfer: ports })),
    );
    await pool.run("sync", { dirs: [tmpdir()] });
    for (const { giveUp } of waiting) giveUp();
    assert.deepEqual((await results).map(({ status }) => status), ["rejected", "rejected", "rejected"]);
  });

  it("passes a job's error on, in its public form, and goes on", async () => {
    await using pool = new WorkerPool();
    await assert.rejects(pool.run("sync", { dirs: [NOWHERE] }), (error) => {
      assert(hasCode(error, "IO"), String(error));
      assert.equal(error.detail.errno, "ENOENT");
      assert(error.message.includes(NOWHERE));
      return true;
    });
    await pool.run("sync", { dirs: [tmpdir()] });
  });

  it("rejects the jobs that run when it is disposed of", async () => {
    const pool = new WorkerPool();
    const { request, ports } = neverEnding();
    const running = pool.run("decode", request, { transfer: ports });
    const rejected = assert.rejects(running, (error) => hasCode(error, "ABORTED"));
    await pool.run("sync", { dirs: [tmpdir()] });
    await pool[Symbol.asyncDispose]();
    await rejected;
  });

  it("rejects a job at once when its signal fires, and uses the thread again only when that has ended", async () => {
    await using pool = new WorkerPool();
    const { request, ports, giveUp } = neverEnding();
    const abort = new AbortController();
    const running = pool.run("decode", request, { transfer: ports, signal: abort.signal });
    await pool.run("sync", { dirs: [tmpdir()] });
    abort.abort(new Error("enough"));
    await assert.rejects(running, (error) => hasCode(error, "ABORTED") && /enough/.test(String(error.cause)));
    await pool.run("sync", { dirs: [tmpdir()] });
    giveUp();
    await pool.run("sync", { dirs: [tmpdir()] });
  });

  it("rejects a job when it has stopped, where the caller asks for that", async () => {
    await using pool = new WorkerPool();
    const { request, ports, giveUp } = neverEnding();
    const abort = new AbortController();
    let state = "running" as "running" | "ended";
    const options = { transfer: ports, signal: abort.signal, whenAborted: "wait" } as const;
    const running = assert.rejects(pool.run("decode", request, options)).then(() => state = "ended");
    abort.abort();
    await pool.run("sync", { dirs: [tmpdir()] });
    assert.equal(state, "running");
    giveUp();
    await running;
  });

  it("does not begin a job whose signal has fired", async () => {
    await using pool = new WorkerPool();
    const options = { signal: AbortSignal.abort() };
    await assert.rejects(pool.run("sync", { dirs: [NOWHERE] }, options), (error) => hasCode(error, "ABORTED"));
  });

  it("refuses jobs once it is disposed of", async () => {
    const pool = new WorkerPool();
    await pool[Symbol.asyncDispose]();
    await assert.rejects(pool.run("sync", { dirs: [tmpdir()] }), (error) => hasCode(error, "ABORTED"));
  });

  it("rejects a request that cannot be posted, and goes on", async () => {
    await using pool = new WorkerPool();
    const request = { dirs: (() => []) as never };
    await assert.rejects(pool.run("sync", request), { name: "DataCloneError" });
    await pool.run("sync", { dirs: [tmpdir()] });
  });

  it("does not keep its process alive", async () => {
    const root = mkdtempSync(join(tmpdir(), "strata-pool-"));
    try {
      await using child = new Child({ task: "run-a-job", root, runRoot: root, driver: "vfs" });
      const { code, stderr } = await child.ended;
      assert.equal(code, 0, stderr);
      assert.deepEqual(child.words, [{ type: "done" }]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

/** A blob whose bytes never come. */
function neverEnding(): { request: JobRequest<"decode">; ports: MessagePort[]; giveUp: () => void } {
  const source = new MessageChannel();
  const target = new MessageChannel();
  const request = {
    input: { kind: "port", port: source.port2 },
    output: target.port1,
    limits: DEFAULT_LIMITS,
    abort: new AbortFlag().shared,
  } as const;
  const giveUp = (): void => {
    source.port1.close();
    target.port2.close();
  };
  return { request, ports: [source.port2, target.port1], giveUp };
}

function threadCount(): number {
  return readdirSync("/proc/self/task").length;
}
