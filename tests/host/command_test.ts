// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../src/core/errors.ts";
import { findProgram, runCommand, spawnFilter } from "../../src/host/command.ts";
import { scratch } from "./scratch.ts";

const decoder = new TextDecoder();

describe("runCommand()", () => {
  it("gives code, output and errors back", async () => {
    const result = await runCommand("sh", ["-c", "cat; echo bad >&2; exit 3"], {
      stdin: new TextEncoder().encode("input"),
    });
    assert.deepEqual([result.code, decoder.decode(result.stdout), result.stderr], [3, "input", "bad\n"]);
  });

  it("passes arguments as they are, and only the minimal environment", async () => {
    const script = 'printf "%s|" "$@"; env | cut -d= -f1 | grep -Ev "^(_|PWD|SHLVL|OLDPWD)$" | sort | tr "\\n" " "';
    const { stdout } = await runCommand("sh", ["-c", script, "sh", "a b", "$HOME;"], { env: { EXTRA: "1" } });
    assert.equal(decoder.decode(stdout), "a b|$HOME;|EXTRA HOME LANG PATH ");
  });

  it("runs in cwd", async () => {
    using dir = scratch();
    const { stdout } = await runCommand("pwd", ["-P"], { cwd: dir.path });
    assert.equal(decoder.decode(stdout).trim(), dir.path);
  });

  it("takes output larger than a pipe while input is written", async () => {
    const stdin = new Uint8Array(3_000_000).fill(65);
    const { stdout } = await runCommand("cat", [], { stdin });
    assert.equal(stdout.byteLength, stdin.byteLength);
  });

  it("a program that reads nothing of its input is fine", async () => {
    const { code } = await runCommand("true", [], { stdin: new Uint8Array(1_000_000) });
    assert.equal(code, 0);
  });

  it("kills what does not end in time, and does not wait for its children", async () => {
    const start = Date.now();
    await assert.rejects(
      runCommand("sh", ["-c", "sleep 3; true"], { timeoutMs: 50 }),
      (error) => hasCode(error, "IO") && /did not end within 50 ms/.test(error.message),
    );
    assert.ok(Date.now() - start < 2500);
  });

  it("the signal kills it", async () => {
    await assert.rejects(
      runCommand("sleep", ["60"], { signal: AbortSignal.timeout(30) }),
      (error) => hasCode(error, "ABORTED"),
    );
    await assert.rejects(runCommand("true", [], { signal: AbortSignal.abort() }), (error) => hasCode(error, "ABORTED"));
  });

  it("a program that is not there is NOT_SUPPORTED", async () => {
    await assert.rejects(
      runCommand("no-such-program-at-all", []),
      (error) => hasCode(error, "NOT_SUPPORTED") && /install it/.test(error.message),
    );
  });
});

describe("spawnFilter()", () => {
  it("streams through a program", async () => {
    const filter = spawnFilter("tr", ["a-z", "A-Z"]);
    const source = new Blob(["hello ".repeat(50_000)]).stream();
    const [, text] = await Promise.all([source.pipeTo(filter.writable), new Response(filter.readable).text()]);
    assert.equal(text, "HELLO ".repeat(50_000));
    assert.deepEqual(await filter.done, { code: 0, stderr: "" });
    filter.kill();
  });

  it("tells how the program failed", async () => {
    const filter = spawnFilter("sh", ["-c", "echo broken >&2; exit 4"]);
    assert.equal(await new Response(filter.readable).text(), "");
    assert.deepEqual(await filter.done, { code: 4, stderr: "broken\n" });
    await filter.writable.abort().catch(() => {});
  });

  it("kill() ends it", async () => {
    const filter = spawnFilter("sleep", ["60"]);
    filter.kill();
    assert.equal((await filter.done).code, 137);
    await filter.readable.cancel();
    await filter.writable.abort().catch(() => {});
  });
});

describe("findProgram()", () => {
  it("finds absolute paths only", () => {
    assert.match(findProgram("sh") ?? "", /^\/.*\/sh$/);
    assert.equal(findProgram("no-such-program-at-all"), undefined);
    assert.equal(findProgram("../bin/sh"), undefined);
    assert.equal(findProgram("./sh"), undefined);
  });

  it("takes an absolute path that can be run, and no other", () => {
    using dir = scratch();
    const [script, text] = [join(dir.path, "script"), join(dir.path, "text")];
    for (const path of [script, text]) writeFileSync(path, "#!/bin/sh\n");
    chmodSync(script, 0o755);
    assert.equal(findProgram(script), script);
    assert.equal(findProgram(text), undefined);
    assert.equal(findProgram(dir.path), undefined);
  });
});
