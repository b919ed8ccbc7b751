// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FileStat } from "../../src/core/file_stat.ts";
import { ROOT } from "../../src/core/layer_path.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { OverrideDir } from "../../src/changeset/override_dir.ts";
import { OVERRIDE_XATTR } from "../../src/changeset/override_stat.ts";
import { at, bytes, scratch, withCode } from "../host/scratch.ts";

test("objects are what their attributes say, and plain files to everybody else", () => {
  using place = scratch();
  using tree = OverrideDir.open(place.path);
  using plain = RootedDir.open(place.path);
  tree.setMode(ROOT, 0o711);
  tree.setOwner(ROOT, 3, 4);
  tree.mkdir(at("d"), 0o1777);
  tree.mknod(at("pipe"), { type: "fifo", mode: 0o640 });
  tree.mknod(at("null"), { type: "char", mode: 0o666, major: 1, minor: 3 });
  using file = tree.create(at("f"), 0o644);
  file.setOwner(1000, 1001);
  file.setMode(0o4755);
  tree.setOwner(at("d"), 7, 8);
  tree.link(at("null"), at("d/null"));

  assertStat(tree.stat(ROOT), { type: "dir", mode: 0o711, uid: 3, gid: 4 });
  assertStat(tree.stat(at("d")), { type: "dir", mode: 0o1777, uid: 7, gid: 8 });
  assertStat(tree.stat(at("pipe")), { type: "fifo", mode: 0o640, uid: 0, gid: 0 });
  const device = { type: "char", mode: 0o666, uid: 0, gid: 0, rdevMajor: 1, rdevMinor: 3, nlink: 2 } as const;
  assertStat(tree.stat(at("null")), device);
  assertStat(tree.openDir(at("d")).stat(at("null")), device);
  assertStat(tree.stat(at("f")), { type: "file", mode: 0o4755, uid: 1000, gid: 1001 });
  assertStat(file.stat(), { mode: 0o4755, uid: 1000, gid: 1001 });

  const self = { uid: plain.stat(ROOT)?.uid ?? 0, gid: plain.stat(at("f"))?.gid ?? 0 };
  for (const name of ["f", "null", "pipe"]) assertStat(plain.stat(at(name)), { type: "file", mode: 0o700, ...self });
  for (const path of [ROOT, at("d"), at("f"), at("null")]) {
    assert.equal(tree.xattrs(path).has(OVERRIDE_XATTR), false);
    assert.equal(plain.xattrs(path).has(OVERRIDE_XATTR), true);
  }
  assert.equal(tree.list(ROOT).find(({ name }) => name === "pipe")?.type, undefined);
});

test("devices are not read as the files that stand for them; other attributes are", () => {
  using place = scratch();
  using tree = OverrideDir.open(place.path);
  tree.mknod(at("null"), { type: "char", mode: 0o666, major: 1, minor: 3 });
  assert.throws(() => tree.openRead(at("null")), withCode("ENXIO"));
  tree.setXattr(at("null"), bytes("user.x"), new Uint8Array([1]));
  assert.deepEqual([...tree.xattrs(at("null")).keys()], ["user.x"]);
});

test("symlinks are symlinks, and whiteouts are the kernel's", () => {
  using place = scratch();
  using tree = OverrideDir.open(place.path);
  tree.symlink(at("l"), bytes("target"));
  tree.setOwner(at("l"), 0, 0);
  tree.mknod(at("gone"), { type: "char", mode: 0 });
  assert.equal(tree.readlink(at("l")), "target");
  assertStat(tree.stat(at("gone")), { type: "char", mode: 0, rdevMajor: 0, rdevMinor: 0 });
});

function assertStat(actual: FileStat | undefined, expected: Partial<FileStat>): void {
  assert.ok(actual);
  for (const [key, value] of Object.entries(expected)) {
    assert.equal(actual[key as keyof FileStat], value, key);
  }
}
