// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { underDirectoryLock, withDirectoryLock } from "../../src/host/directory_lock.ts";
import { scratch } from "./scratch.ts";

const LONG_MS = 60_000;

describe("withDirectoryLock()", () => {
  it("lets one act at a time, and the next when it has failed", async () => {
    using dir = scratch();
    let acting = 0;
    const act = async () => {
      assert.equal(++acting, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      acting--;
      throw new Error("failed");
    };
    const ended = await Promise.allSettled([1, 2, 3].map(() => withDirectoryLock(dir.path, LONG_MS, act)));
    assert.deepEqual(ended.map(({ status }) => status), ["rejected", "rejected", "rejected"]);
    assert.equal(underDirectoryLock(dir.path, () => acting), 0);
  });

  it("gives up when the time is over", async () => {
    using dir = scratch();
    let release = () => {};
    const held = withDirectoryLock(dir.path, LONG_MS, () => new Promise<void>((resolve) => release = resolve));
    await assert.rejects(withDirectoryLock(dir.path, 5, () => Promise.resolve()), (error) => hasCode(error, "LOCKED"));
    release();
    await held;
  });

  it("says which directory is not there", async () => {
    using dir = scratch();
    await assert.rejects(
      withDirectoryLock(`${dir.path}/none`, 5, () => Promise.resolve()),
      (error) => hasCode(error, "IO") && /Cannot lock ".*\/none"/.test(error.message),
    );
  });
});
