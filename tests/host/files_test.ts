// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { hasCode } from "../../src/core/errors.ts";
import { syncDir, syncFile, syncFileSystemOf, writeFileAtomic } from "../../src/host/durable.ts";
import * as files from "../../src/host/files.ts";
import { scratch, withCode } from "./scratch.ts";

describe("writeFileAtomic()", () => {
  it("makes and replaces a file, with exactly the mode, and leaves nothing else", () => {
    using dir = scratch();
    const path = join(dir.path, "record");
    const umask = process.umask(0o077);
    try {
      writeFileAtomic(path, "first é");
      assert.equal(statSync(path).mode & 0o7777, 0o644);
      writeFileAtomic(path, Uint8Array.of(1, 2, 3), { mode: 0o466, durability: "none" });
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(path).mode & 0o7777, 0o466);
    assert.deepEqual([...readFileSync(path)], [1, 2, 3]);
    assert.deepEqual(readdirSync(dir.path), ["record"]);
  });

  it("leaves neither a change nor a temporary file when it fails", () => {
    using dir = scratch();
    mkdirSync(join(dir.path, "taken"));
    writeFileSync(join(dir.path, "taken/x"), "");
    assert.throws(() => writeFileAtomic(join(dir.path, "taken"), "x"), withCode("EISDIR"));
    assert.deepEqual(readdirSync(dir.path), ["taken"]);
    assert.throws(() => writeFileAtomic(join(dir.path, "none/x"), "x"), withCode("ENOENT"));
  });

  it("replaces a symlink instead of writing through it", () => {
    using dir = scratch();
    writeFileSync(join(dir.path, "target"), "old");
    symlinkSync("target", join(dir.path, "link"));
    writeFileAtomic(join(dir.path, "link"), "new");
    assert.equal(readFileSync(join(dir.path, "target"), "utf8"), "old");
    assert.equal(files.statPath(join(dir.path, "link"))?.type, "file");
  });

  it("syncs what is there, and says what is not", () => {
    using dir = scratch();
    const path = join(dir.path, "f");
    writeFileSync(path, "x");
    syncFile(path);
    syncDir(dir.path);
    syncFileSystemOf(path);
    assert.throws(() => syncDir(path), withCode("ENOTDIR"));
    assert.throws(() => syncFile(join(dir.path, "none")), withCode("ENOENT"));
  });
});

describe("files", () => {
  it("absence is undefined, or empty", () => {
    using dir = scratch();
    const none = join(dir.path, "none");
    assert.equal(files.readText(none), undefined);
    assert.equal(files.readBytes(none, { max: 1 }), undefined);
    assert.deepEqual(files.listNames(none), []);
    assert.equal(files.pathExists(none), false);
    assert.equal(files.statPath(none), undefined);
    files.removeTreeAt(none);
    files.removeTreeAt(join(none, "x"));
  });

  it("readBytes() refuses more than max", () => {
    using dir = scratch();
    const path = join(dir.path, "f");
    writeFileSync(path, "1234");
    assert.equal(files.readBytes(path, { max: 4 })?.byteLength, 4);
    assert.throws(() => files.readBytes(path, { max: 3 }), (error) => hasCode(error, "LIMIT_EXCEEDED"));
    assert.throws(() => files.readBytes("/proc/self/status", { max: 10 }), (e) => hasCode(e, "LIMIT_EXCEEDED"));
  });

  it("createExclusive(), openForWrite() and openForRead()", () => {
    using dir = scratch();
    const path = join(dir.path, "é");
    files.createExclusive(path, "x");
    assert.throws(() => files.createExclusive(path, "y"), withCode("EEXIST"));
    assert.throws(() => files.openForWrite(path), withCode("EEXIST"));
    {
      using file = files.openForWrite(path, { existing: "allow" });
      file.writeAt(new TextEncoder().encode("yz"), 1);
    }
    using file = files.openForRead(path);
    const buffer = new Uint8Array(2);
    assert.equal(file.readAt(buffer, 1), 2);
    assert.equal(files.readText(path), "xyz");
    assert.deepEqual(files.listNames(dir.path), ["é"]);
  });

  it("renamePath() with never keeps what is there", () => {
    using dir = scratch();
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    files.createExclusive(a, "a");
    files.createExclusive(b, "b");
    assert.throws(() => files.renamePath(a, b, { replace: "never" }), withCode("EEXIST"));
    files.renamePath(a, b, { replace: "allow" });
    assert.equal(files.readText(b), "a");
    // rename(2) alone would take an empty directory's place.
    files.ensureDir(join(dir.path, "d/e"), 0o755);
    files.ensureDir(join(dir.path, "d/e"), 0o755);
    files.ensureDir(join(dir.path, "f"), 0o755);
    assert.throws(
      () => files.renamePath(join(dir.path, "d"), join(dir.path, "f"), { replace: "never" }),
      withCode("EEXIST"),
    );
  });

  it("makeSymlink(), realPath() and removeTreeAt()", () => {
    using dir = scratch();
    const real = files.realPath(dir.path);
    files.ensureDir(join(dir.path, "d"), 0o755);
    files.createExclusive(join(dir.path, "d/f"), "x");
    files.makeSymlink(join(dir.path, "l"), "d/f");
    assert.equal(files.realPath(join(dir.path, "l")), join(real, "d/f"));
    files.removeTreeAt(join(dir.path, "l"));
    assert.equal(files.pathExists(join(dir.path, "d/f")), true);
    files.removeTreeAt(join(dir.path, "d"));
    assert.deepEqual(files.listNames(dir.path), []);
  });
});
