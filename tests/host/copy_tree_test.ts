// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type LayerPath, ROOT } from "../../src/core/layer_path.ts";
import { copyContent, type CopyOptions, type CopyReport, copyTree } from "../../src/host/copy_tree.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, atBytes, bytes, IS_ROOT, scratch } from "./scratch.ts";

const encoder = new TextEncoder();
const TIME = { sec: 1_600_000_000, nsec: 987_654_321 };

/** Two empty directories, `from` and `to`. */
function pair(): { from: RootedDir; to: RootedDir; copy: (options?: CopyOptions) => CopyReport } & Disposable {
  const dir = scratch();
  for (const name of ["from", "to"]) mkdirSync(join(dir.path, name));
  const [from, to] = [RootedDir.open(join(dir.path, "from")), RootedDir.open(join(dir.path, "to"))];
  return {
    from,
    to,
    copy: (options) => copyTree(from, to, options),
    [Symbol.dispose]() {
      from.close();
      to.close();
      dir[Symbol.dispose]();
    },
  };
}

function put(root: RootedDir, path: LayerPath, content: Uint8Array): void {
  using file = root.create(path, 0o644);
  file.write(content);
}

function contentOf(root: RootedDir, path: LayerPath): Uint8Array {
  using file = root.openRead(path);
  const buffer = new Uint8Array(file.stat().size);
  let length = 0;
  while (length < buffer.byteLength) length += file.read(buffer.subarray(length));
  return buffer;
}

describe("copyTree()", () => {
  it("keeps contents, names that are not UTF-8, symlinks and nanoseconds, the root's too", () => {
    using p = pair();
    p.from.mkdir(at("d"), 0o755);
    const odd = atBytes(0x64, 0x2f, 0xff);
    put(p.from, odd, encoder.encode("odd"));
    put(p.from, at("empty"), new Uint8Array(0));
    p.from.symlink(at("l"), bytes("/dangling"));
    for (const path of [odd, at("l"), at("d"), at("empty")]) p.from.setTimes(path, { atime: TIME, mtime: TIME });
    p.from.setMode(ROOT, 0o711);
    p.from.setTimes(ROOT, { mtime: TIME });
    const report = p.copy();
    assert.deepEqual(contentOf(p.to, odd), encoder.encode("odd"));
    assert.equal(p.to.readlink(at("l")), "/dangling");
    for (const path of [odd, at("l"), at("d"), at("empty"), ROOT]) {
      assert.deepEqual(p.to.stat(path)?.mtime, TIME);
      assert.equal(p.to.stat(path)?.mode, p.from.stat(path)?.mode);
    }
    assert.equal(report.files, 2);
    assert.equal(report.bytesCopied + report.bytesReflinked, 3);
    assert.deepEqual(report.skipped, []);
  });

  it("keeps hard links inside the tree, of files and of symlinks", () => {
    using p = pair();
    p.from.mkdir(at("d"), 0o755);
    put(p.from, at("a"), encoder.encode("x"));
    p.from.link(at("a"), at("d/b"));
    p.from.symlink(at("l"), bytes("t"));
    p.from.link(at("l"), at("d/m"));
    assert.equal(p.copy().files, 1);
    assert.equal(p.to.stat(at("a"))?.ino, p.to.stat(at("d/b"))?.ino);
    assert.equal(p.to.stat(at("l"))?.ino, p.to.stat(at("d/m"))?.ino);
    assert.notEqual(p.to.stat(at("a"))?.ino, p.from.stat(at("a"))?.ino);
  });

  it("keeps holes, at the end too", () => {
    using p = pair();
    const size = 8 * 1024 * 1024;
    {
      using file = p.from.create(at("sparse"), 0o644);
      file.writeAt(encoder.encode("begin"), 0);
      file.writeAt(encoder.encode("middle"), 4 * 1024 * 1024);
      file.truncate(size);
      using hole = p.from.create(at("hole"), 0o644);
      hole.truncate(size);
    }
    p.copy();
    assert.deepEqual(contentOf(p.to, at("sparse")), contentOf(p.from, at("sparse")));
    const stat = p.to.stat(at("sparse"));
    assert.equal(stat?.size, size);
    assert.ok((stat?.blocks ?? 0) * 512 < 1024 * 1024);
    assert.deepEqual([p.to.stat(at("hole"))?.size, p.to.stat(at("hole"))?.blocks], [size, 0]);
  });

  it("copies between file systems, holes kept", { skip: !existsSync("/dev/shm") && "needs /dev/shm" }, () => {
    using p = pair();
    const other = mkdtempSync("/dev/shm/strata-host-");
    try {
      using to = RootedDir.open(other);
      using file = p.from.create(at("f"), 0o644);
      file.writeAt(Uint8Array.of(1, 2, 3), 3 * 1024 * 1024);
      file.truncate(8 * 1024 * 1024);
      copyTree(p.from, to, { ownership: "self" });
      assert.deepEqual(contentOf(to, at("f")), contentOf(p.from, at("f")));
      assert.ok((to.stat(at("f"))?.blocks ?? 0) * 512 <= 1024 * 1024);
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  it("copies a file larger than one chunk", () => {
    using p = pair();
    const content = Uint8Array.from({ length: 3 * 1024 * 1024 + 17 }, (_, i) => i * 31);
    put(p.from, at("big"), content);
    p.copy();
    assert.deepEqual(contentOf(p.to, at("big")), content);
  });

  it("keeps setuid with an owner, and attributes of every namespace", { skip: !IS_ROOT && "needs root" }, () => {
    using p = pair();
    put(p.from, at("f"), encoder.encode("x"));
    p.from.mkdir(at("d"), 0o755);
    p.from.symlink(at("l"), bytes("f"));
    // A version 2 capability set: cap_net_raw, permitted and effective.
    const capability = Uint8Array.of(1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    for (const path of [at("f"), at("d"), at("l")]) {
      p.from.setOwner(path, 1234, 4321);
      p.from.setXattr(path, bytes("trusted.t"), Uint8Array.of(0, 1));
    }
    p.from.setXattr(at("f"), bytes("security.capability"), capability);
    p.from.setXattr(at("d"), bytes("user.u"), Uint8Array.of(2));
    p.from.setMode(at("f"), 0o4444);
    p.from.setMode(at("d"), 0o3500);
    p.copy();
    for (const path of [at("f"), at("d"), at("l")]) {
      const [copied, original] = [p.to.stat(path), p.from.stat(path)];
      assert.deepEqual([copied?.uid, copied?.gid, copied?.mode], [1234, 4321, original?.mode]);
      assert.deepEqual(p.to.xattrs(path), p.from.xattrs(path));
    }
    assert.deepEqual(p.to.xattrs(at("f")).get(bytes("security.capability")), capability);
  });

  it("copies devices, fifos and sockets", { skip: !IS_ROOT && "needs root" }, () => {
    using p = pair();
    p.from.mknod(at("char"), { type: "char", mode: 0o666, major: 1, minor: 3 });
    p.from.link(at("char"), at("char2"));
    p.from.mknod(at("block"), { type: "block", mode: 0o600, major: 7, minor: 300 });
    p.from.mknod(at("socket"), { type: "socket", mode: 0o700 });
    p.from.mknod(at("fifo"), { type: "fifo", mode: 0o640 });
    p.copy();
    for (const { name } of p.from.list(ROOT)) {
      const [copied, original] = [p.to.stat(at(name)), p.from.stat(at(name))];
      assert.deepEqual(
        [copied?.type, copied?.mode, copied?.rdevMajor, copied?.rdevMinor, copied?.nlink],
        [original?.type, original?.mode, original?.rdevMajor, original?.rdevMinor, original?.nlink],
      );
    }
  });

  it("ownership self leaves owners and devices out, and says so", { skip: !IS_ROOT && "needs root" }, () => {
    using p = pair();
    put(p.from, at("f"), encoder.encode("x"));
    p.from.setOwner(at("f"), 1234, 4321);
    p.from.mknod(at("null"), { type: "char", mode: 0o666, major: 1, minor: 3 });
    p.from.link(at("null"), at("zero"));
    const { skipped } = p.copy({ ownership: "self" });
    assert.equal(p.to.stat(at("f"))?.uid, 0);
    assert.deepEqual(skipped, [{ path: "null", kind: "device" }, { path: "zero", kind: "device" }]);
    assert.deepEqual(p.to.list(ROOT).map((e) => e.name), ["f"]);
  });

  it("onEntry sees every object in bytewise order, parents first", () => {
    using p = pair();
    for (const dir of ["b", "a"]) p.from.mkdir(at(dir), 0o755);
    for (const file of ["b/2", "b/1", "c", "a/x"]) put(p.from, at(file), new Uint8Array(0));
    const seen: string[] = [];
    p.copy({ onEntry: (path) => seen.push(path) });
    assert.deepEqual(seen, ["", "a", "a/x", "b", "b/1", "b/2", "c"]);
  });
});

describe("copyContent()", () => {
  it("tells whether blocks are shared, and shares none when it must not", () => {
    using p = pair();
    put(p.from, at("f"), encoder.encode("content"));
    for (const reflink of ["where possible", "never"] as const) {
      using source = p.from.openRead(at("f"));
      using target = p.to.create(at(reflink), 0o600);
      const outcome = copyContent(source, target, { reflink });
      if (reflink === "never") assert.equal(outcome, "copied");
      assert.deepEqual(contentOf(p.to, at(reflink)), encoder.encode("content"));
    }
  });
});
