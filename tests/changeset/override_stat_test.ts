// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ByteString, fromText } from "../../src/core/bytes.ts";
import type { FileStat, FileType } from "../../src/core/file_stat.ts";
import {
  formatOverride,
  isOverrideXattr,
  overridden,
  OVERRIDE_XATTR,
  overrideOf,
  type OverrideStat,
  parseOverride,
} from "../../src/changeset/override_stat.ts";

const id = fc.integer({ min: 0, max: 0xffff_fffe });
const owned = { uid: id, gid: id, mode: fc.integer({ min: 0, max: 0o7777 }) };
const number = fc.integer({ min: 0, max: 0xf_ffff });
const override: fc.Arbitrary<OverrideStat> = fc.oneof(
  fc.record({ ...owned, rdevMajor: fc.constant(0), rdevMinor: fc.constant(0) }),
  fc.record({
    ...owned,
    type: fc.constantFrom<FileType[]>("dir", "file", "symlink", "fifo", "socket"),
    rdevMajor: fc.constant(0),
    rdevMinor: fc.constant(0),
  }),
  fc.record({ ...owned, type: fc.constantFrom<FileType[]>("block", "char"), rdevMajor: number, rdevMinor: number }),
);

test("what is written is read", () => {
  fc.assert(fc.property(override, (said) => assert.deepEqual(parseOverride(formatOverride(said)), { ...said })));
});

test("values of containers/storage and of fuse-overlayfs are read", () => {
  const none = { rdevMajor: 0, rdevMinor: 0 };
  const read = (text: string) => parseOverride(bytes(text));
  assert.deepEqual(read("0:0:0755:dir"), { uid: 0, gid: 0, mode: 0o755, type: "dir", ...none });
  assert.deepEqual(read("7:8:4711"), { uid: 7, gid: 8, mode: 0o4711, ...none });
  assert.deepEqual(read("7:8:104755"), { uid: 7, gid: 8, mode: 0o4755, ...none });
  assert.deepEqual(read("1:2:0640:pipe"), { uid: 1, gid: 2, mode: 0o640, type: "fifo", ...none });
  const disk = { uid: 1, gid: 2, mode: 0o640, type: "block", rdevMajor: 8, rdevMinor: 1 } as const;
  assert.deepEqual(read("1:2:0640:block-8-1"), disk);
  assert.equal(new TextDecoder().decode(formatOverride(disk)), "1:2:0640:block-8-1");
});

test("values of another form say nothing", () => {
  const wrong = ["", "1:2", "1:2:9", "-1:2:755", "1:2:755:", "1:2:755:door", "1:2:755:char", "1:2:755:dir-1-2"];
  for (const text of [...wrong, "4294967295:0:755", " 1:2:755", "1:2:755\n1"]) {
    assert.equal(parseOverride(bytes(text)), undefined, text);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (value) => void parseOverride(value)));
});

test("owner and mode that fuse-overlayfs wrote win, the type stays", () => {
  const attributes = new Map<ByteString, Uint8Array>([
    [OVERRIDE_XATTR, bytes("7:8:0640:char-1-3")],
    [fromText("user.fuseoverlayfs.override_stat"), bytes("9:9:100600")],
  ]);
  const said = overrideOf(attributes);
  assert.deepEqual(said, { uid: 9, gid: 9, mode: 0o600, type: "char", rdevMajor: 1, rdevMinor: 3 });
  for (const name of attributes.keys()) assert.ok(isOverrideXattr(name));
});

test("only a regular file stands for something else", () => {
  const time = { sec: 0, nsec: 0 };
  const times = { atime: time, mtime: time, ctime: time };
  const stat = (type: FileType): FileStat => ({
    ...{ type, mode: 0o700, uid: 5, gid: 5, size: 0, nlink: 1, ino: 1n, dev: "1:1", rdevMajor: 0, rdevMinor: 0 },
    ...{ ...times, blocks: 0 },
  });
  const said = parseOverride(bytes("1:2:0640:char-1-3"));
  assert.equal(overridden(stat("file"), said).type, "char");
  assert.equal(overridden(stat("dir"), said).type, "dir");
  assert.equal(overridden(stat("dir"), said).mode, 0o640);
  assert.deepEqual(overridden(stat("symlink"), said), stat("symlink"));
  assert.equal(overridden(stat("file"), parseOverride(bytes("1:2:0640:dir"))).type, "file");
  assert.deepEqual(overridden(stat("file"), undefined), stat("file"));
});

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
