// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type CacheId, randomCacheId } from "../../../../src/core/ids.ts";
import type { DriverSpec } from "../../../../src/driver/interfaces/driver_spec.ts";
import { findMountProgram } from "../../../../src/driver/overlay/mounting/mount_program.ts";
import { probeOverlay } from "../../../../src/driver/overlay/mounting/probe.ts";
import { mountsBelow } from "../../../../src/host/mount_table.ts";
import { processesRunning } from "../../../../src/host/process_list.ts";
import { stackOf, topId } from "../../../../src/testing/driver_cases/case.ts";
import { file } from "../../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../../conformance/scratch_driver.ts";
import { unlessMissing } from "../../../support/interop.ts";

const program = findMountProgram();
const reason = program === undefined ? "fuse-overlayfs cannot be run here" : await probeOverlay(tmpdir(), program);
const SETUP = { name: "overlay2", options: { "overlay2.mount_program": program ?? "" }, label: "," };
const ROUNDS = 8;

describe("processes that mount a layer whose mount program was killed", unlessMissing(reason), () => {
  it("make one mount, which all of them see", async () => {
    await withScratchDriver(SETUP, async (context) => {
      const { driver } = context;
      const id = randomCacheId();
      await driver.createReadWrite(id, topId(await stackOf(context, [[file("a", "1")]])));
      const path = await driver.get(id);
      const racers = [new Racer(driver.spec, id), new Racer(driver.spec, id)];
      try {
        for (const racer of racers) assert.equal(await racer.says(), "ready");
        for (let round = 0; round < ROUNDS; round++) {
          const [server] = serversOf(id);
          process.kill(server!.pid, "SIGKILL");
          await assert.rejects(async () => {
            for (;;) await stat(path);
          }, { code: /^(ENOTCONN|ECONNABORTED)$/ });
          for (const racer of racers) racer.go();
          assert.deepEqual(await Promise.all(racers.map((racer) => racer.says())), ["a", "a"]);
          assert.deepEqual(mountsBelow(path).map(({ mountPoint }) => mountPoint), [path]);
          assert.equal(serversOf(id).length, 1);
        }
      } finally {
        for (const racer of racers) racer.end();
      }
    });
  });
});

/** A process of its own that mounts the layer when told. */
class Racer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(spec: DriverSpec, id: CacheId) {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    const script = fileURLToPath(new URL(`../../../support/mount_racer.${extension}`, import.meta.url));
    const run = "deno" in process.versions ? ["run", "-A", "--no-check"] : [];
    const stdio = ["pipe", "pipe", "inherit"] as const;
    this.#process = spawn(process.execPath, [...run, script, JSON.stringify(spec), id], { stdio: [...stdio] });
    const lines: Interface = createInterface({ input: this.#process.stdout! });
    this.#lines = lines[Symbol.asyncIterator]();
  }

  go(): void {
    this.#process.stdin?.write("go\n");
  }

  async says(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  end(): void {
    this.#process.stdin?.end();
  }
}

function serversOf(id: CacheId) {
  return processesRunning("fuse-overlayfs").filter(({ args }) => args.includes(`${id}/merged`));
}
