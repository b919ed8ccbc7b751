// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { mountAt, mountHolding, mountsBelow, parseMountTable, readMountTable } from "../../src/host/mount_table.ts";

describe("parseMountTable()", () => {
  it("reads every field, with any number of optional ones", () => {
    const text = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n" +
      "37 35 0:30 / /none rw - tmpfs none rw\n";
    const [first, second] = parseMountTable(text);
    assert.deepEqual(first, {
      id: 36,
      parentId: 35,
      dev: "98:0",
      root: "/mnt1",
      mountPoint: "/mnt2",
      options: ["rw", "noatime"],
      fsType: "ext3",
      source: "/dev/root",
      superOptions: ["rw", "errors=continue"],
    });
    assert.equal(second?.mountPoint, "/none");
  });

  it("undoes the kernel's octal escapes once, and keeps UTF-8", () => {
    const text = "1 2 0:1 / /a\\040b\\011c\\012d\\134040\\043é rw - overlay over\\040lay rw,lowerdir=/x\\040y:/z\n";
    const [mount] = parseMountTable(text);
    assert.equal(mount?.mountPoint, "/a b\tc\nd\\040#é");
    assert.equal(mount?.source, "over lay");
    assert.deepEqual(mount?.superOptions, ["rw", "lowerdir=/x y:/z"]);
  });

  it("takes an empty source, and leaves broken lines out", () => {
    const mounts = parseMountTable("1 2 0:1 / /a rw - tmpfs  rw\nrubbish\n\n1 2 - x\n");
    assert.deepEqual(mounts.map((m) => [m.mountPoint, m.source, m.superOptions]), [["/a", "", ["rw"]]]);
  });
});

describe("the live mount table", () => {
  it("has /proc, which mountAt() and mountsBelow() find", () => {
    assert.ok(readMountTable().length > 0);
    assert.equal(mountAt("/proc")?.fsType, "proc");
    assert.equal(mountAt("/proc/self"), undefined);
    assert.ok(mountsBelow("/").some((m) => m.mountPoint === "/proc"));
    assert.ok(mountsBelow("/proc").every((m) => m.mountPoint === "/proc" || m.mountPoint.startsWith("/proc/")));
    assert.deepEqual(mountsBelow("/pro"), []);
    assert.equal(mountHolding("/proc/self/status")?.mountPoint, "/proc");
    assert.equal(mountHolding("/proc")?.fsType, "proc");
    assert.notEqual(mountHolding("/processes")?.mountPoint, "/proc");
  });
});
