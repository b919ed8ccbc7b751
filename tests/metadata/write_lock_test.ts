// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { findProgram } from "../../src/host/command.ts";
import { acquireLock } from "../../src/host/file_lock.ts";
import { StoreLayout } from "../../src/metadata/layout.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";
import { refusal, scratchStore } from "./store_dir.ts";

const NO_FLOCK = findProgram("flock") === undefined && "needs the program flock";

describe("withWriteLock()", () => {
  it("gives one at a time, in the order in which they came, whatever the layout object", async () => {
    using store = scratchStore();
    const order: number[] = [];
    let inside = 0;
    await Promise.all(
      [0, 1, 2, 3, 4].map((i) =>
        withWriteLock(new StoreLayout(store.root, i % 2 === 0 ? "vfs" : "overlay2"), {}, async () => {
          assert.equal(++inside, 1);
          await pause(2);
          order.push(i);
          inside--;
        })
      ),
    );
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it("passes on what the function returns or throws, and is free again after both", async () => {
    using store = scratchStore();
    assert.equal(await withWriteLock(store.layout, {}, () => 7), 7);
    await assert.rejects(withWriteLock(store.layout, {}, () => Promise.reject(new Error("inner"))), /inner/);
    assert.equal(await withWriteLock(store.layout, { timeoutMs: 0 }, () => 8), 8);
  });

  it("ends in LOCKED when an operation of this process keeps it too long; those behind still wait", async () => {
    using store = scratchStore();
    const order: string[] = [];
    const first = withWriteLock(store.layout, {}, async () => {
      await pause(60);
      order.push("first");
    });
    const impatient = withWriteLock(store.layout, { timeoutMs: 10 }, () => order.push("impatient"));
    const patient = withWriteLock(store.layout, {}, () => order.push("patient"));
    await assert.rejects(impatient, refusal("LOCKED", store.layout.lockPath));
    await Promise.all([first, patient]);
    assert.deepEqual(order, ["first", "patient"]);
  });

  it("ends in ABORTED when the signal fires, before or while waiting", async () => {
    using store = scratchStore();
    const early = withWriteLock(store.layout, { signal: AbortSignal.abort() }, () => assert.fail("it ran"));
    await assert.rejects(early, refusal("ABORTED"));
    const first = withWriteLock(store.layout, {}, () => pause(40));
    const waiting = withWriteLock(store.layout, { signal: AbortSignal.timeout(5) }, () => assert.fail("it ran"));
    await assert.rejects(waiting, refusal("ABORTED"));
    await first;
  });

  it("waits for a lock on the file itself, and says who holds it", async () => {
    using store = scratchStore();
    await withWriteLock(store.layout, {}, () => {});
    const other = await acquireLock(store.layout.lockPath, { kind: "exclusive", timeoutMs: 0 });
    await assert.rejects(
      withWriteLock(store.layout, { timeoutMs: 20 }, () => {}),
      refusal("LOCKED", `pid ${process.pid}`),
    );
    other.release();
    await withWriteLock(store.layout, { timeoutMs: 0 }, () => {});
  });

  it("excludes other processes", { skip: NO_FLOCK }, async () => {
    using store = scratchStore();
    await withWriteLock(store.layout, {}, () => {});
    const child = spawn("flock", ["-x", store.layout.lockPath, "sh", "-c", "echo held; exec cat"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await assert.rejects(withWriteLock(store.layout, { timeoutMs: 20 }, () => {}), refusal("LOCKED"));
    const waiting = withWriteLock(store.layout, {}, () => "mine");
    child.stdin.end();
    await once(child, "close");
    assert.equal(await waiting, "mine");

    await withWriteLock(store.layout, {}, async () => {
      const other = spawn("flock", ["-n", "-x", store.layout.lockPath, "true"]);
      assert.deepEqual(await once(other, "close"), [1, null]);
    });
  });
});
