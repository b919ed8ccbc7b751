// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { EXIT } from "../../src/cli/exit_codes.ts";
import { OutputClosed, OutputFailed } from "../../src/cli/errors.ts";
import type { EndSignal, OutputStream } from "../../src/cli/io.ts";
import { digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { CliStore, Sink, spawnCli } from "../support/run_cli.ts";

const BASE = layerTar([file("a", "alpha")]);
const BIG = layerTar([file("big", new Uint8Array(8 * 1024 * 1024))]);

describe("the process", () => {
  it("takes a layer in from a pipe, gives it back through one, and ends", async () => {
    using store = new CliStore();
    const registered = await finish(spawnCli(["register", "-", "--name", "big"], store.env), BIG);
    assert.deepEqual(
      [registered.code, registered.stderr, registered.stdout.toString()],
      [0, "", `${digestOf(BIG)}\n`],
    );
    const exported = await finish(spawnCli(["export", "big"], store.env));
    assert.equal(exported.code, 0);
    assert.equal(digestOf(exported.stdout), digestOf(BIG));
  });

  it("ends quietly when its reader goes away", async () => {
    using store = new CliStore();
    await store.ok(["register", "--name", "big"], { stdin: BIG });
    const child = spawnCli(["export", "big"], store.env);
    child.stdout?.once("data", () => child.stdout?.destroy());
    const { code, stderr } = await finish(child);
    assert.deepEqual([code, stderr], [0, ""]);
  });

  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    it(`stops at ${signal} with ${code}, and leaves nothing behind`, async () => {
      using store = new CliStore();
      const child = spawnCli(["register", "--progress", "json"], store.env);
      child.stdin?.on("error", () => {});
      child.stdin?.write(BIG.slice(0, 1024 * 1024));
      const tmp = join(store.path("root"), "strata/tmp");
      while (!existsSync(tmp) || readdirSync(tmp).length === 0) await delay(20);
      process.kill(child.pid ?? 0, signal);
      const ended = await finish(child, "leave standard input open");
      assert.equal(ended.code, code);
      assert.equal(ended.stdout.length, 0);
      assert.deepEqual(readdirSync(tmp), []);
      assert.equal(await store.ok(["layers", "-q"]), "");
    });
  }
});

describe("signals", () => {
  it("end the process at once the second time", async () => {
    using store = new CliStore();
    const signals: EndSignal[] = ["SIGINT", "SIGINT", "SIGTERM"];
    const { code, exits, stderr } = await store.run(["register"], {
      stdin: BASE,
      onListening: (send) => signals.forEach(send),
    });
    assert.equal(code, 130);
    assert.deepEqual(exits, [130, 143]);
    assert.equal(stderr, "");
  });
});

describe("standard output", () => {
  it("that nobody reads ends a command well", async () => {
    using store = new CliStore();
    const stdout = failing(new OutputClosed("Cannot write"));
    const { code, stderr } = await store.run(["layers"], { streams: { stdout } });
    assert.deepEqual([code, stderr], [EXIT.ok, ""]);
  });

  it("that is full is told by an exit code of its own", async () => {
    using store = new CliStore();
    const stdout = failing(new OutputFailed("Cannot write", { errno: "ENOSPC", cause: undefined }));
    const { code, stderr } = await store.run(["layers", "--json"], { streams: { stdout } });
    assert.equal(code, EXIT.noSpace);
    assert.equal(JSON.parse(stderr).error.code, "NO_SPACE");
  });
});

describe("a fault of the program", () => {
  it("is no negative answer, and is shown with its stack for debugging only", async () => {
    using store = new CliStore();
    const stdout = failing(new RangeError("nobody expected this"));
    const { code, stderr } = await store.run(["layers"], { streams: { stdout } });
    assert.equal(code, EXIT.internal);
    assert.match(stderr, /^error: nobody expected this\nhint: .*report/);
    const debug = await store.run(["layers", "--log-level", "debug"], { streams: { stdout } });
    assert.match(debug.stderr, /RangeError: nobody expected this\n\s+at /);
  });
});

function failing(error: Error): OutputStream {
  return { terminal: "no", writable: new Sink().writable, write: () => Promise.reject(error) };
}

interface Ended {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function finish(child: ChildProcess, input?: Uint8Array | "leave standard input open"): Promise<Ended> {
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk)).on("error", () => {});
  child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text);
  if (input === undefined) child.stdin?.end();
  else if (typeof input !== "string") child.stdin?.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout: Buffer.concat(stdout), stderr }));
  });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
