// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../../src/core/layer_path.ts";
import { type NodeSpec, RootedDir } from "../../src/host/rooted_dir.ts";
import { at, atBytes, bytes, IS_ROOT, withCode } from "./scratch.ts";
import { jail, put } from "./jail.ts";

const encoder = new TextEncoder();
const TIME = { sec: 1_700_000_000, nsec: 123_456_789 };

describe("RootedDir confinement", () => {
  it("create() through an absolute symlink lands inside the root", () => {
    using j = jail();
    j.root.symlink(at("out"), bytes(j.outside));
    assert.throws(() => put(j.root, "out/x"), withCode("ENOENT"));
    j.root.mkdir(at("etc"), 0o755);
    j.root.symlink(at("abs"), bytes("/etc"));
    put(j.root, "abs/x");
    assert.equal(fs.readFileSync(join(j.inside, "etc/x"), "utf8"), "content");
    assert.deepEqual(fs.readdirSync(j.outside), ["secret"]);
  });

  it("create() through a symlink with .. is held at the root", () => {
    using j = jail();
    j.root.symlink(at("up"), bytes("../../../outside"));
    assert.throws(() => put(j.root, "up/x"), withCode("ENOENT"));
    j.root.mkdir(at("outside"), 0o755);
    put(j.root, "up/x");
    assert.equal(fs.existsSync(join(j.inside, "outside/x")), true);
    assert.deepEqual(fs.readdirSync(j.outside), ["secret"]);
  });

  it("create() never writes through a final symlink, dangling or not", () => {
    using j = jail();
    j.root.symlink(at("dangling"), bytes("/nothing"));
    j.root.symlink(at("live"), bytes(join(j.outside, "secret")));
    assert.throws(() => put(j.root, "dangling"), withCode("EEXIST"));
    assert.throws(() => put(j.root, "live"), withCode("EEXIST"));
    assert.equal(fs.existsSync(join(j.inside, "nothing")), false);
    assert.equal(fs.readFileSync(join(j.outside, "secret"), "utf8"), "secret");
  });

  it("magic links are refused", () => {
    using j = jail();
    using proc = RootedDir.open("/proc");
    assert.throws(() => proc.list(at("self/root/etc")), withCode("ELOOP"));
    const fd = fs.openSync(join(j.outside, "secret"), "r");
    try {
      assert.throws(() => proc.openReadFollowing(at(`self/fd/${fd}`)), withCode("ELOOP"));
    } finally {
      fs.closeSync(fd);
    }
  });

  it("a loop of symlinks is ELOOP", () => {
    using j = jail();
    j.root.symlink(at("a"), bytes("b"));
    j.root.symlink(at("b"), bytes("a"));
    assert.throws(() => put(j.root, "a/x"), withCode("ELOOP"));
  });

  it("stat(), setOwner(), setTimes() and setMode() act on a symlink, not on its target", () => {
    using j = jail();
    put(j.root, "file");
    const before = j.root.stat(at("file"));
    j.root.symlink(at("link"), bytes("file"));
    j.root.setTimes(at("link"), { atime: TIME, mtime: TIME });
    if (IS_ROOT) j.root.setOwner(at("link"), 12, 34);
    assert.throws(() => j.root.setMode(at("link"), 0o777), withCode("EOPNOTSUPP"));
    const link = j.root.stat(at("link"));
    assert.equal(link?.type, "symlink");
    assert.deepEqual(link.mtime, TIME);
    if (IS_ROOT) assert.deepEqual([link.uid, link.gid], [12, 34]);
    assert.deepEqual(j.root.stat(at("file")), before);
  });

  it("openDir(), list() and openRead() refuse a final symlink", () => {
    using j = jail();
    j.root.mkdir(at("dir"), 0o755);
    put(j.root, "file");
    j.root.symlink(at("todir"), bytes("dir"));
    j.root.symlink(at("tofile"), bytes("file"));
    assert.throws(() => j.root.openDir(at("todir")), withCode("ENOTDIR", "ELOOP"));
    assert.throws(() => j.root.list(at("todir")), withCode("ENOTDIR", "ELOOP"));
    assert.throws(() => j.root.openRead(at("tofile")), withCode("ELOOP"));
  });

  it("openReadFollowing() follows inside the root only", () => {
    using j = jail();
    put(j.root, "secret", "inside");
    j.root.symlink(at("link"), bytes("../../secret"));
    using file = j.root.openReadFollowing(at("link"));
    const buffer = new Uint8Array(20);
    assert.equal(file.read(buffer), 6);
    j.root.symlink(at("out"), bytes(join(j.outside, "secret")));
    assert.throws(() => j.root.openReadFollowing(at("out")), withCode("ENOENT"));
    assert.throws(() => j.root.openReadFollowing(ROOT), withCode("EISDIR"));
  });

  it("a cached parent does not outlive its replacement by a symlink (CVE-2021-32803)", () => {
    using j = jail();
    j.root.mkdir(at("x"), 0o755);
    j.root.mkdir(at("y"), 0o755);
    put(j.root, "x/1");
    j.root.removeTree(at("x"));
    j.root.symlink(at("x"), bytes("y"));
    put(j.root, "x/2");
    assert.deepEqual(j.root.list(at("y")).map((e) => e.name), ["2"]);
  });

  it("a cached parent is forgotten when another handle renames it away", () => {
    using j = jail();
    using second = RootedDir.open(j.inside);
    j.root.mkdir(at("x"), 0o755);
    put(j.root, "x/1");
    second.rename(at("x"), at("moved"));
    assert.throws(() => put(j.root, "x/2"), withCode("ENOENT"));
    second.mkdir(at("x"), 0o755);
    put(j.root, "x/2");
    assert.deepEqual(j.root.list(at("moved")).map((e) => e.name), ["1"]);
  });

  it("a name with a NUL is EINVAL, one too long ENAMETOOLONG", () => {
    using j = jail();
    assert.throws(() => j.root.symlink(at("l"), bytes("a\0b")), withCode("EINVAL"));
    assert.throws(() => j.root.symlink(at("l"), bytes("a".repeat(4096))), withCode("ENAMETOOLONG"));
    assert.equal(j.root.stat(at("l")), undefined);
  });
});

describe("RootedDir objects", () => {
  it("two names that are not UTF-8 stay two files", () => {
    using j = jail();
    for (const [name, content] of [[0xff, "first"], [0xfe, "second"]] as const) {
      using file = j.root.create(atBytes(0x61, name), 0o600);
      file.write(encoder.encode(content));
    }
    assert.deepEqual(j.root.list(ROOT).map((e) => e.name), [atBytes(0x61, 0xfe), atBytes(0x61, 0xff)]);
    using file = j.root.openRead(atBytes(0x61, 0xff));
    const buffer = new Uint8Array(10);
    assert.equal(new TextDecoder().decode(buffer.subarray(0, file.read(buffer))), "first");
    j.root.removeTree(ROOT);
    assert.deepEqual(j.root.list(ROOT), []);
  });

  it("create() and mkdir() set exactly the mode, whatever the umask", () => {
    using j = jail();
    const umask = process.umask(0o077);
    try {
      j.root.create(at("file"), 0o6755).close();
      j.root.mkdir(at("dir"), 0o1777);
      j.root.mknod(at("fifo"), { type: "fifo", mode: 0o666 });
    } finally {
      process.umask(umask);
    }
    assert.deepEqual(["file", "dir", "fifo"].map((p) => j.root.stat(at(p))?.mode), [0o6755, 0o1777, 0o666]);
  });

  it("setMode() works on directories, files and fifos without opening them", () => {
    using j = jail();
    put(j.root, "file");
    j.root.mkdir(at("dir"), 0o755);
    j.root.mknod(at("fifo"), { type: "fifo", mode: 0o600 });
    for (const path of ["file", "dir", "fifo"]) {
      j.root.setMode(at(path), 0o4711);
      assert.equal(j.root.stat(at(path))?.mode, 0o4711, path);
    }
    j.root.setMode(ROOT, 0o2750);
    assert.equal(j.root.stat(ROOT)?.mode, 0o2750);
  });

  it("times are kept to the nanosecond, before 1970 and after 2038 too", () => {
    using j = jail();
    put(j.root, "f");
    for (const sec of [0, -1, -2_000_000_000, 1, 2 ** 31, 2 ** 32 + 5]) {
      const mtime = { sec, nsec: 999_999_999 };
      j.root.setTimes(at("f"), { atime: TIME, mtime });
      const stat = j.root.stat(at("f"));
      assert.deepEqual([stat?.atime, stat?.mtime], [TIME, mtime]);
    }
    j.root.setTimes(at("f"), { mtime: { sec: 7, nsec: 1 } });
    assert.deepEqual(j.root.stat(at("f"))?.atime, TIME);
    j.root.setTimes(ROOT, { mtime: TIME });
    assert.deepEqual(j.root.stat(ROOT)?.mtime, TIME);
  });

  it("linkOpen() names an open file, wherever it lies, and never what took its place", () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    put(j.root, "f");
    using file = j.root.openRead(at("f"));
    fs.writeFileSync(join(j.inside, "other"), "other");
    j.root.rename(at("other"), at("f"));
    j.root.link(at("f"), at("kept"));
    // The last name of the open file is gone: nothing is there to be named any more.
    assert.throws(() => j.root.linkOpen(file, at("d/g")), withCode("ENOENT"));
    using outside = RootedDir.open(j.outside);
    using secret = outside.openRead(at("secret"));
    j.root.linkOpen(secret, at("d/g"));
    assert.equal(fs.statSync(join(j.inside, "d/g")).ino, fs.statSync(join(j.outside, "secret")).ino);
    assert.throws(() => j.root.linkOpen(secret, at("d/g")), withCode("EEXIST"));
  });

  it("stat() tells type, size and links; nothing there is undefined", () => {
    using j = jail();
    put(j.root, "f", "12345");
    j.root.link(at("f"), at("g"));
    const stat = j.root.stat(at("f"));
    assert.deepEqual([stat?.type, stat?.size, stat?.nlink], ["file", 5, 2]);
    assert.equal(stat?.ino, j.root.stat(at("g"))?.ino);
    assert.equal(typeof stat?.ino, "bigint");
    const own = fs.lstatSync(join(j.inside, "f"));
    assert.deepEqual([stat?.uid, stat?.gid, stat?.blocks], [own.uid, own.gid, own.blocks]);
    assert.equal(j.root.stat(at("none")), undefined);
    assert.equal(j.root.stat(at("none/x")), undefined);
    assert.equal(j.root.stat(at("f/x")), undefined);
  });

  it("list() sorts bytewise, names types, and passes one buffer of entries", () => {
    using j = jail();
    const names = Array.from({ length: 3000 }, (_, i) => `entry-with-a-longer-name-${i}`);
    for (const name of names) j.root.symlink(at(name), bytes("x"));
    put(j.root, "B");
    j.root.mkdir(at("a"), 0o755);
    const entries = j.root.list(ROOT);
    assert.deepEqual(entries.map((e) => e.name), ["B", "a", ...names.sort()]);
    assert.deepEqual(entries.slice(0, 3).map((e) => e.type), ["file", "dir", "symlink"]);
    assert.equal(entries[0]?.ino, j.root.stat(at("B"))?.ino);
  });

  it("readlink() gives the target's bytes back", () => {
    using j = jail();
    const target = atBytes(0x2f, 0xff, 0x80);
    j.root.symlink(at("l"), target);
    assert.equal(j.root.readlink(at("l")), target);
    assert.throws(() => j.root.readlink(ROOT), withCode("EINVAL"));
  });

  it("link() makes a second name of a symlink itself", () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    j.root.symlink(at("d/l"), bytes("/etc/passwd"));
    j.root.link(at("d/l"), at("second"));
    assert.equal(j.root.stat(at("second"))?.type, "symlink");
    assert.equal(j.root.stat(at("second"))?.ino, j.root.stat(at("d/l"))?.ino);
    assert.throws(() => j.root.link(at("d"), at("dir")), withCode("EPERM"));
  });

  it("openRead() refuses fifos and directories without touching them", () => {
    using j = jail();
    j.root.mknod(at("fifo"), { type: "fifo", mode: 0o600 });
    assert.throws(() => j.root.openRead(at("fifo")), withCode("ENXIO"));
    assert.throws(() => j.root.openRead(ROOT), withCode("EISDIR"));
    assert.throws(() => j.root.openRead(at("none")), withCode("ENOENT"));
  });

  it("mknod() makes devices with their numbers", { skip: !IS_ROOT && "needs root" }, () => {
    using j = jail();
    const nodes: NodeSpec[] = [
      { type: "char", mode: 0o666, major: 1, minor: 3 },
      { type: "block", mode: 0o660, major: 4095, minor: 1_048_575 },
      { type: "char", mode: 0, major: 0, minor: 0 },
      { type: "socket", mode: 0o755 },
    ];
    for (const [i, node] of nodes.entries()) {
      j.root.mknod(at(`n${i}`), node);
      const stat = j.root.stat(at(`n${i}`));
      assert.deepEqual(
        [stat?.type, stat?.mode, stat?.rdevMajor, stat?.rdevMinor],
        [node.type, node.mode, node.major ?? 0, node.minor ?? 0],
      );
    }
    j.root.setMode(at("n0"), 0o600);
    assert.equal(j.root.stat(at("n0"))?.mode, 0o600);
  });

  it("setOwner() refuses ids that 32 bits cannot hold", () => {
    using j = jail();
    put(j.root, "f");
    for (const id of [2 ** 32, 2 ** 32 - 1, -1, 0.5]) {
      assert.throws(() => j.root.setOwner(at("f"), id, 0), withCode("EINVAL"));
    }
    if (IS_ROOT) {
      j.root.setOwner(at("f"), 2 ** 32 - 2, 3_000_000_000);
      const stat = j.root.stat(at("f"));
      assert.deepEqual([stat?.uid, stat?.gid], [2 ** 32 - 2, 3_000_000_000]);
    }
  });
});

describe("RootedDir attributes", () => {
  it("user attributes are kept byte for byte, in order", () => {
    using j = jail();
    put(j.root, "f");
    j.root.mkdir(at("d"), 0o755);
    const value = Uint8Array.of(0, 255, 10, 0);
    for (const path of [at("f"), at("d"), ROOT]) {
      j.root.setXattr(path, bytes("user.b"), value);
      j.root.setXattr(path, bytes("user.a"), new Uint8Array(0));
      assert.deepEqual([...j.root.xattrs(path)], [["user.a", new Uint8Array(0)], ["user.b", value]]);
      j.root.removeXattr(path, bytes("user.a"));
      assert.deepEqual([...j.root.xattrs(path).keys()], ["user.b"]);
      assert.throws(() => j.root.removeXattr(path, bytes("user.a")), withCode("ENODATA"));
    }
  });

  it("attributes of a symlink are its own", { skip: !IS_ROOT && "needs root" }, () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    put(j.root, "d/f");
    j.root.symlink(at("d/l"), bytes("f"));
    j.root.setXattr(at("d/l"), bytes("trusted.x"), encoder.encode("link"));
    assert.deepEqual([...j.root.xattrs(at("d/l")).keys()], ["trusted.x"]);
    assert.deepEqual([...j.root.xattrs(at("d/f")).keys()], []);
  });
});
