// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { openFileStream, writeFileStream } from "../../src/host/streams.ts";
import { bytesOf, streamOf } from "../support/scratch_store.ts";

let home = "";
before(() => {
  home = mkdtempSync(join(tmpdir(), "strata-streams-"));
});
after(() => rmSync(home, { recursive: true, force: true }));

describe("openFileStream()", () => {
  it("gives a file's bytes and size", async () => {
    const bytes = new Uint8Array(3 * 1024 * 1024 + 17).map((_, index) => index % 251);
    writeFileSync(join(home, "data"), bytes);
    const { stream, sizeBytes } = await openFileStream(join(home, "data"));
    assert.equal(sizeBytes, bytes.length);
    assert.deepEqual(await bytesOf(stream), bytes);
  });

  it("knows no size of a pipe, and reads it", async () => {
    const path = join(home, "pipe");
    execFileSync("mkfifo", [path]);
    const writing = writeFileStream(path, streamOf(new TextEncoder().encode("through a pipe")));
    const { stream, sizeBytes } = await openFileStream(path);
    assert.equal(sizeBytes, undefined);
    assert.equal(new TextDecoder().decode(await bytesOf(stream)), "through a pipe");
    assert.equal(await writing, 14);
  });

  it("may be cancelled", async () => {
    writeFileSync(join(home, "left"), "x");
    const { stream } = await openFileStream(join(home, "left"));
    await stream.cancel();
  });

  it("refuses what is not there, and directories", async () => {
    await assert.rejects(openFileStream(join(home, "nothing")), (error) => hasCode(error, "NOT_FOUND"));
    await assert.rejects(openFileStream(home), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

describe("writeFileStream()", () => {
  it("makes a file, and replaces one that keeps its mode", async () => {
    const path = join(home, "new");
    assert.equal(await writeFileStream(path, streamOf(new Uint8Array(10))), 10);
    assert.equal(statSync(path).size, 10);
    chmodSync(path, 0o600);
    await writeFileStream(path, streamOf(new Uint8Array(5)));
    assert.equal(statSync(path).size, 5);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  it("follows a symlink and leaves it in place", async () => {
    writeFileSync(join(home, "target"), "old");
    symlinkSync("target", join(home, "link"));
    await writeFileStream(join(home, "link"), streamOf(new TextEncoder().encode("new")));
    assert.equal(readFileSync(join(home, "target"), "utf8"), "new");
  });

  it("leaves the old file and nothing else when the stream fails or the caller aborts", async () => {
    const path = join(home, "kept");
    writeFileSync(path, "old");
    const failing = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (controller.desiredSize === null) return;
        controller.enqueue(new Uint8Array(1000));
        controller.error(new Error("the source broke"));
      },
    });
    await assert.rejects(writeFileStream(path, failing), /the source broke/);
    const abort = new AbortController();
    const silent = new ReadableStream<Uint8Array>({
      pull: () => new Promise(() => setTimeout(() => abort.abort(), 1)),
    });
    await assert.rejects(
      writeFileStream(path, silent, { signal: abort.signal }),
      (error) => hasCode(error, "ABORTED"),
    );
    assert.equal(readFileSync(path, "utf8"), "old");
    assert.deepEqual(readdirSync(home).filter((name) => name.endsWith(".tmp")), []);
  });

  it("writes into a device rather than replace it", async () => {
    await writeFileStream("/dev/null", streamOf(new Uint8Array(10)));
    assert.ok(statSync("/dev/null").isCharacterDevice());
    await assert.rejects(
      writeFileStream("/dev/full", streamOf(new Uint8Array(10))),
      (error) => hasCode(error, "NO_SPACE"),
    );
  });

  it("cancels the stream when the file cannot be made", async () => {
    let cancelled = "no";
    const stream = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = "yes";
      },
    });
    await assert.rejects(writeFileStream(join(home, "no/such/dir"), stream));
    assert.equal(cancelled, "yes");
  });
});
