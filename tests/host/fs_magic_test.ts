// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fileSystemName, FS_MAGIC, isNetworkFileSystem } from "../../src/host/fs_magic.ts";

const MAGICS = new Map(Object.entries(FS_MAGIC));
const KNOWN: ReadonlySet<number> = new Set(MAGICS.values());

describe("fileSystemName()", () => {
  it("gives every number of the table its name, and no number twice", () => {
    assert.equal(KNOWN.size, MAGICS.size);
    for (const [name, magic] of MAGICS) assert.equal(fileSystemName(magic), name);
  });

  it("names what Docker and containers/storage name", () => {
    const theirs: [number, string][] = [
      [0xef53, "extfs"],
      [0x58465342, "xfs"],
      [0x9123683e, "btrfs"],
      [0x794c7630, "overlayfs"],
      [0x01021994, "tmpfs"],
      [0x2fc12fc1, "zfs"],
      [0x65735546, "fuse"],
      [0xe0f5e1e2, "erofs"],
      [0xa501fcf5, "vxfs"],
    ];
    for (const [magic, name] of theirs) assert.equal(fileSystemName(magic), name);
  });

  it("shows the number of every other", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }).filter((magic) => !KNOWN.has(magic)), (magic) => {
      const shown = /^unknown \(0x([0-9a-f]+)\)$/.exec(fileSystemName(magic));
      assert.equal(parseInt(shown?.[1] ?? "", 16), magic);
    }));
  });
});

describe("isNetworkFileSystem()", () => {
  it("tells those on other machines from local ones, by names of the table", () => {
    for (const name of ["nfs", "ceph", "cifs", "smb2", "lustre"]) assert.ok(isNetworkFileSystem(name), name);
    for (const name of ["xfs", "extfs", "tmpfs", "overlayfs", "unknown (0x1)"]) {
      assert.ok(!isNetworkFileSystem(name), name);
    }
  });
});
