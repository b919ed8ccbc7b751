// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { display } from "../../src/core/bytes.ts";
import { hasCode, packDirectory, type PackReport } from "../../mod.ts";
import { bytesOf, ScratchRoot } from "../support/scratch_store.ts";
import { readMembers } from "../support/tar_reading.ts";

const AS_USER = process.getuid?.() === 0 ? { skip: "root may read everything" } : {};

function makeTree(scratch: ScratchRoot): string {
  const dir = join(scratch.dir, "tree");
  mkdirSync(join(dir, "d/.git"), { recursive: true });
  writeFileSync(join(dir, "d/file"), "content");
  writeFileSync(join(dir, "d/.git/config"), "hidden");
  linkSync(join(dir, "d/file"), join(dir, "hard"));
  symlinkSync("d/file", join(dir, "soft"));
  return dir;
}

async function namesIn(stream: ReadableStream<Uint8Array>): Promise<string[]> {
  return readMembers(await bytesOf(stream)).map(({ entry }) => `${entry.type} ${display(entry.name)}`);
}

describe("packDirectory()", () => {
  it("packs the directory itself and all below, in bytewise order", async () => {
    using scratch = new ScratchRoot();
    assert.deepEqual(await namesIn(packDirectory(makeTree(scratch))), [
      "dir ./",
      "dir d/",
      "dir d/.git/",
      "file d/.git/config",
      "file d/file",
      "hardlink hard",
      "symlink soft",
    ]);
  });

  it("leaves excluded names out wherever they stand, and counts none of them as skipped", async () => {
    using scratch = new ScratchRoot();
    let report: PackReport | undefined;
    const stream = packDirectory(makeTree(scratch), {
      exclude: [".git", "soft"],
      unreadable: "skip",
      onEnd: (given) => report = given,
    });
    assert.deepEqual(await namesIn(stream), ["dir ./", "dir d/", "file d/file", "hardlink hard"]);
    assert.deepEqual(report, { skipped: [], skippedCount: 0 });
  });

  it("gives the same bytes for the same tree, which come back from a store", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const dir = makeTree(scratch);
    const layer = await store.register(packDirectory(dir));
    assert.deepEqual(await bytesOf(store.export(layer.chainId)), await bytesOf(packDirectory(dir)));
  });

  it("fails with the directory's name when there is none", async () => {
    using scratch = new ScratchRoot();
    const missing = join(scratch.dir, "missing");
    await assert.rejects(bytesOf(packDirectory(missing)), (error) => {
      assert.ok(hasCode(error, "IO") || hasCode(error, "NOT_FOUND"));
      return error.message.includes(`Cannot pack the directory "${missing}"`);
    });
  });

  it("ends its thread when the stream is cancelled half-way", async () => {
    using scratch = new ScratchRoot();
    const dir = makeTree(scratch);
    writeFileSync(join(dir, "large"), new Uint8Array(32 * 1024 * 1024));
    const reader = packDirectory(dir).getReader();
    assert.ok((await reader.read()).value);
    await reader.cancel();
  });

  it("refuses what this user may not read, or leaves it out and says so", AS_USER, async () => {
    using scratch = new ScratchRoot();
    const dir = makeTree(scratch);
    mkdirSync(join(dir, "private"));
    writeFileSync(join(dir, "secret"), "s");
    for (const name of ["private", "secret"]) chmodSync(join(dir, name), 0);
    await assert.rejects(bytesOf(packDirectory(dir)), (error) => hasCode(error, "NOT_PERMITTED"));
    let report: PackReport | undefined;
    const names = await namesIn(packDirectory(dir, { unreadable: "skip", onEnd: (given) => report = given }));
    assert.ok(names.includes("dir private/") && !names.includes("file secret"));
    assert.deepEqual(report?.skipped.map(({ entry, attribute }) => `${entry}: ${attribute}`), [
      "secret: the file",
      "private: what the directory holds",
    ]);
    chmodSync(join(dir, "private"), 0o700);
  });
});
