// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, bytes, IS_ROOT, scratch, withCode } from "./scratch.ts";

const TIME = { sec: 1_700_000_000, nsec: 1 };

describe("OpenFile", () => {
  it("reads and writes at its position and at others", () => {
    using dir = scratch();
    using root = RootedDir.open(dir.path);
    using file = root.create(at("f"), 0o600);
    file.write(Uint8Array.of(1, 2, 3));
    file.write(new Uint8Array(0));
    file.write(Uint8Array.of(4).subarray(0));
    file.writeAt(new Uint8Array([9, 9, 5, 6, 9]).subarray(2, 4), 4);
    const buffer = new Uint8Array(8);
    assert.equal(file.readAt(buffer.subarray(1), 0), 6);
    assert.deepEqual([...buffer], [0, 1, 2, 3, 4, 5, 6, 0]);
    assert.equal(file.readAt(buffer, 6), 0);
    assert.equal(file.read(buffer), 2);
    file.truncate(1);
    assert.equal(file.stat().size, 1);
  });

  it("offsets beyond 32 bits are exact", () => {
    using dir = scratch();
    using root = RootedDir.open(dir.path);
    using file = root.create(at("f"), 0o600);
    const position = 2 ** 33 + 7;
    file.writeAt(Uint8Array.of(42), position);
    assert.equal(file.stat().size, position + 1);
    const buffer = new Uint8Array(2);
    assert.equal(file.readAt(buffer, position), 1);
    assert.equal(buffer[0], 42);
  });

  it("sets mode, times, owner and attributes by handle", () => {
    using dir = scratch();
    using root = RootedDir.open(dir.path);
    using file = root.create(at("f"), 0o600);
    root.rename(at("f"), at("g"));
    if (IS_ROOT) file.setOwner(77, 88);
    file.setXattr(bytes("user.x"), Uint8Array.of(7));
    file.setMode(0o4751);
    file.setTimes(undefined, TIME);
    file.sync();
    const stat = root.stat(at("g"));
    assert.deepEqual([stat?.mode, stat?.mtime], [0o4751, TIME]);
    if (IS_ROOT) assert.deepEqual([stat?.uid, stat?.gid], [77, 88]);
    assert.deepEqual([...file.xattrs()], [["user.x", Uint8Array.of(7)]]);
    file.removeXattr(bytes("user.x"));
    assert.equal(file.xattrs().size, 0);
  });

  it("is unusable once closed, and closes once", () => {
    using dir = scratch();
    using root = RootedDir.open(dir.path);
    const file = root.create(at("f"), 0o600);
    file.close();
    file.close();
    assert.equal(file.fd, -1);
    assert.throws(() => file.write(Uint8Array.of(1)), withCode("EBADF"));
    assert.throws(() => file.stat(), withCode("EBADF"));
  });

  it("system calls work in worker threads", async () => {
    using dir = scratch();
    const module = new URL("../../src/host/durable.ts", import.meta.url);
    // The compiled tests import compiled modules: this file's own ending tells which.
    if (import.meta.url.endsWith(".js")) module.pathname = module.pathname.replace(/\.ts$/, ".js");
    const code = `import { writeFileAtomic } from ${JSON.stringify(module.href)};
      writeFileAtomic(${JSON.stringify(`${dir.path}/from-worker`)}, "x");`;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
    await new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
    using root = RootedDir.open(dir.path);
    assert.equal(root.stat(at("from-worker"))?.size, 1);
  });
});
