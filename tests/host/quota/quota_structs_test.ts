// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as structs from "../../../src/host/quota/quota_structs.ts";

describe("struct fsxattr", () => {
  it("keeps all other fields when id and flags are set", () => {
    const view = new DataView(Uint8Array.from({ length: structs.FSXATTR_BYTES }, (_, i) => i + 1).buffer);
    assert.equal(structs.readXflags(view), 0x04030201);
    assert.equal(structs.readProjectId(view), 0x100f0e0d);
    structs.writeXflags(view, structs.XFLAG_PROJINHERIT);
    structs.writeProjectId(view, structs.PROJECT_ID_MAX);
    assert.equal(
      hex(view),
      "00020000" + "05060708" + "090a0b0c" + "feffffff" + "11121314" + "15161718" + "191a1b1c",
    );
  });
});

describe("struct fs_disk_quota", () => {
  it("has version, kind, mask, id and four limits where the kernel reads them", () => {
    const view = new DataView(new ArrayBuffer(structs.DISK_QUOTA_BYTES));
    structs.writeDiskQuota(view, { id: 0x01020304, bytes: 10 * 512, inodes: 7 });
    const word = (hex: string) => hex.padEnd(16, "0");
    const limits = word("0a") + word("0a") + word("07") + word("07");
    assert.equal(hex(view), "01020f00" + "04030201" + limits + "00".repeat(112 - 40));
  });

  it("raises the hard limits by a slack, reads the soft ones, and leaves no limit what it is", () => {
    const view = new DataView(new ArrayBuffer(structs.DISK_QUOTA_BYTES));
    const field = (at: number) => Number(view.getBigUint64(at, true));
    structs.writeDiskQuota(view, { id: 1, bytes: 10 * 512, inodes: 7 }, { bytes: 512, inodes: 2 });
    assert.deepEqual([8, 16, 24, 32].map(field), [11, 10, 9, 7]);
    assert.deepEqual(structs.readDiskQuota(view), { bytes: 10 * 512, inodes: 7, bytesUsed: 0, inodesUsed: 0 });
    structs.writeDiskQuota(view, { id: 1, bytes: 0, inodes: 0 }, { bytes: 512, inodes: 2 });
    assert.deepEqual([8, 16, 24, 32].map(field), [0, 0, 0, 0]);
  });

  it("overwrites what was there, rounds bytes up, and reads back", () => {
    const sizes = fc.record({ bytes: fc.nat({ max: 2 ** 31 }), inodes: fc.nat({ max: 2 ** 31 }) });
    fc.assert(fc.property(fc.nat({ max: 2 ** 31 }), sizes, (id, limits) => {
      const view = new DataView(new Uint8Array(structs.DISK_QUOTA_BYTES).fill(0xff).buffer);
      structs.writeDiskQuota(view, { ...limits, id });
      const read = structs.readDiskQuota(view);
      assert.deepEqual(read, {
        bytes: Math.ceil(limits.bytes / 512) * 512,
        inodes: limits.inodes,
        bytesUsed: 0,
        inodesUsed: 0,
      });
    }));
  });

  it("reads what is used, beyond 32 bits", () => {
    const view = new DataView(new ArrayBuffer(structs.DISK_QUOTA_BYTES));
    view.setBigUint64(40, 3n << 33n, true);
    view.setBigUint64(48, 5n, true);
    assert.deepEqual(structs.readDiskQuota(view), { bytes: 0, inodes: 0, bytesUsed: 3 * 2 ** 33 * 512, inodesUsed: 5 });
  });
});

describe("struct fs_quota_stat", () => {
  it("tells projects' quotas from users' and groups'", () => {
    const state = (flags: number) => {
      const view = new DataView(new ArrayBuffer(structs.QUOTA_STAT_BYTES));
      view.setUint16(2, flags, true);
      return structs.readQuotaState(view);
    };
    assert.equal(state(0), "off");
    assert.equal(state(0b1111), "off");
    assert.equal(state(0b01_0000), "counted");
    assert.equal(state(0b11_0000), "enforced");
    assert.equal(state(0b11_1111), "enforced");
  });
});

function hex(view: DataView): string {
  return Array.from(new Uint8Array(view.buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
