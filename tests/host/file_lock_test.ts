// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { hasCode } from "../../src/core/errors.ts";
import { findProgram } from "../../src/host/command.ts";
import { acquireLock, isLocked, tryLock } from "../../src/host/file_lock.ts";
import { scratch } from "./scratch.ts";

const NO_FLOCK = findProgram("flock") === undefined && "needs the program flock";

/** Another process that holds the lock until it is killed. */
async function otherHolder(path: string, flag: "-x" | "-s"): Promise<ChildProcess> {
  const child = spawn("flock", [flag, path, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  await once(child.stdout, "data");
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  await once(child, "close");
}

describe("file locks", () => {
  it("an exclusive lock excludes all others, in one process too", () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    assert.equal(isLocked(path), false);
    const lock = tryLock(path, "exclusive");
    assert.ok(lock);
    assert.equal(tryLock(path, "exclusive"), undefined);
    assert.equal(tryLock(path, "shared"), undefined);
    assert.equal(isLocked(path), true);
    lock.release();
    lock.release();
    assert.equal(isLocked(path), false);
    assert.equal(readFileSync(path, "utf8"), "");
  });

  it("shared locks go together, and keep the exclusive one away", () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    using _first = tryLock(path, "shared");
    using second = tryLock(path, "shared");
    assert.ok(second);
    assert.equal(tryLock(path, "exclusive"), undefined);
    assert.equal(isLocked(path), true);
  });

  it("another process's lock is waited for", { skip: NO_FLOCK }, async () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    const other = await otherHolder(path, "-x");
    assert.equal(isLocked(path), true);
    assert.equal(tryLock(path, "shared"), undefined);
    const waiting = acquireLock(path, { kind: "exclusive", timeoutMs: 10_000 });
    await end(other);
    using lock = await waiting;
    assert.equal(lock.kind, "exclusive");
  });

  it("our lock keeps another process away", { skip: NO_FLOCK }, async () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    await using _lock = await acquireLock(path, { kind: "exclusive", timeoutMs: 0 });
    const child = spawn("flock", ["-n", "-s", path, "true"]);
    const [code] = await once(child, "close");
    assert.equal(code, 1);
  });

  it("LOCKED names the holder and keeps to the time", async () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    using _lock = tryLock(path, "exclusive");
    const start = Date.now();
    await assert.rejects(acquireLock(path, { kind: "shared", timeoutMs: 80 }), (error) => {
      assert.ok(hasCode(error, "LOCKED"));
      assert.match(error.message, new RegExp(`held by pid ${process.pid} "[^/].*" for \\d+ s`));
      assert.equal(error.detail.path, path);
      return true;
    });
    const waited = Date.now() - start;
    assert.ok(waited >= 75 && waited < 5000, `${waited} ms`);
  });

  it("LOCKED without a readable holder says that there is one", async () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    writeFileSync(path, "not a holder");
    using _lock = tryLock(path, "shared");
    await assert.rejects(acquireLock(path, { kind: "exclusive", timeoutMs: 0 }), /another process holds it/);
  });

  it("the signal ends the waiting", async () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    using _lock = tryLock(path, "exclusive");
    const signal = AbortSignal.timeout(20);
    await assert.rejects(
      acquireLock(path, { kind: "exclusive", timeoutMs: 60_000, signal }),
      (error) => hasCode(error, "ABORTED"),
    );
  });

  it("a lock on a file that was removed is no lock for newcomers", () => {
    using dir = scratch();
    const path = join(dir.path, "lock");
    using _old = tryLock(path, "exclusive");
    rmSync(path);
    using lock = tryLock(path, "exclusive");
    assert.ok(lock);
    assert.equal(isLocked(path), true);
  });
});
