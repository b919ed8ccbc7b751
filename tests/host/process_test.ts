// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import {
  bootId,
  commandLine,
  currentProcess,
  effectiveUser,
  isProcessAlive,
  processStartTime,
} from "../../src/host/process.ts";

describe("processes", () => {
  it("this one is alive under its own identity only", () => {
    const self = currentProcess();
    assert.equal(self.pid, process.pid);
    assert.equal(isProcessAlive(self), true);
    assert.equal(isProcessAlive({ ...self, startTime: self.startTime + 1 }), false);
  });

  it("one that ended is not", async () => {
    const child = spawn("cat", { stdio: ["pipe", "ignore", "ignore"] });
    const pid = child.pid ?? 0;
    const startTime = processStartTime(pid);
    assert.ok(startTime !== undefined);
    assert.equal(isProcessAlive({ pid, startTime }), true);
    child.stdin.end();
    await once(child, "close");
    assert.equal(isProcessAlive({ pid, startTime }), false);
  });

  it("boot id, user and command line are told", () => {
    assert.match(bootId(), /^[0-9a-f-]{36}$/);
    assert.equal(effectiveUser(), process.geteuid?.());
    assert.match(commandLine(), /^[^/]+/);
  });
});
