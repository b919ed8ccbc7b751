// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { hasErrno } from "../../../src/host/errno.ts";
import { setProjectId } from "../../../src/host/quota/project_id.ts";
import { ProjectQuotas, type ProjectQuotasOptions } from "../../../src/host/quota/quota.ts";
import {
  type ImageFileSystem,
  type LoopOptions,
  mountLoop,
  needsLoop,
  whyNoLoop,
} from "../../support/loop_file_system.ts";
import { IS_ROOT, scratch } from "../scratch.ts";

const MIB = 1024 * 1024;

/** Where project quotas can be had. */
const QUOTAS: readonly { readonly type: ImageFileSystem; readonly options: LoopOptions }[] = [
  { type: "xfs", options: { mount: ["pquota"] } },
  { type: "ext4", options: { mkfs: ["-O", "quota,project", "-E", "quotatype=prjquota"], mount: ["prjquota"] } },
];

const WRITTEN = /^\d+ bytes .*copied/m;
/** xfs tells of a full project as of a full disk, ext4 as of a quota. */
const FULL = /No space left on device|Disk quota exceeded/;

const ACCESSES = ["handle", "device node"] as const;

describe("ProjectQuotas where there are none", () => {
  it("says so, with and without a node of the device", { skip: IS_ROOT ? false : "a device node needs root" }, () => {
    using dir = scratch();
    assert.equal(new ProjectQuotas("/proc").state(), "off");
    assert.equal(new ProjectQuotas(dir.path).state(), "off");
    assert.equal(new ProjectQuotas(dir.path, { deviceNode: `${dir.path}/node` }).state(), "off");
    assert.throws(
      () => new ProjectQuotas("/proc").limit(1, { bytes: MIB, inodes: 0 }),
      (error) => hasErrno(error, "ENOSYS"),
    );
  });

  it("makes the device's node, and makes it anew when it is another's", needsLoop("ext4"), () => {
    using ext4 = mountLoop("ext4", { mkfs: ["-O", "^quota"] });
    const node = `${ext4.path}/node`;
    const quotas = new ProjectQuotas(ext4.path, { deviceNode: node, access: "device node" });
    writeFileSync(node, "");
    assert.equal(quotas.state(), "off");
    assert.ok(statSync(node).isBlockDevice());
    assert.equal(statSync(node).rdev, statSync(ext4.path).dev);
    assert.equal(statSync(node).mode & 0o777, 0o600);
  });
});

for (const { type, options } of QUOTAS) {
  for (const access of ACCESSES) {
    // No kernel option may be required: which kernel runs the tests is nobody's to choose.
    describe(`ProjectQuotas on ${type} by ${access}`, { skip: whyNoLoop(type, options) ?? false }, () => {
      it("limits bytes, and counts them", () => {
        using fs = mountLoop(type, options);
        const { quotas, dir } = begin(fs.path, access);
        quotas.limit(7, { bytes: 4 * MIB, inodes: 0 });
        assert.match(writeUnprivileged(`${dir}/fits`, 3), WRITTEN);
        assert.match(writeUnprivileged(`${dir}/over`, 2), FULL);
        rmSync(`${dir}/over`, { force: true });
        assert.match(writeUnprivileged(`${fs.path}/elsewhere`, 8), WRITTEN);
        const usage = quotas.usage(7);
        assert.ok(usage.bytesUsed >= 3 * MIB && usage.bytesUsed <= 4 * MIB, String(usage.bytesUsed));
        assert.equal(usage.bytes, 4 * MIB);
        quotas.limit(7, { bytes: 0, inodes: 0 });
        assert.match(writeUnprivileged(`${dir}/over`, 2), WRITTEN);
      });

      it("limits inodes, and counts them", () => {
        using fs = mountLoop(type, options);
        const { quotas, dir } = begin(fs.path, access);
        quotas.limit(7, { bytes: 0, inodes: 4 });
        for (const name of ["a", "b", "c"]) assert.match(writeUnprivileged(`${dir}/${name}`, 0), WRITTEN);
        assert.match(writeUnprivileged(`${dir}/d`, 0), FULL);
        assert.deepEqual(quotas.usage(7), { ...quotas.usage(7), inodes: 4, inodesUsed: 4, bytes: 0 });
      });

      it("knows nothing of a project that nobody uses", () => {
        using fs = mountLoop(type, options);
        const { quotas } = begin(fs.path, access);
        assert.deepEqual(quotas.usage(99), { bytes: 0, inodes: 0, bytesUsed: 0, inodesUsed: 0 });
        assert.equal(existsSync(`${fs.path}/node`), access === "device node");
      });
    });
  }
}

function begin(path: string, access: NonNullable<ProjectQuotasOptions["access"]>) {
  const quotas = new ProjectQuotas(path, { access, deviceNode: `${path}/node` });
  assert.equal(quotas.state(), "enforced");
  const dir = `${path}/project`;
  mkdirSync(dir);
  setProjectId(dir, 7);
  return { quotas, dir };
}

/**
 * Writes zeros as a process in a container does, and gives what dd(1) says: ext4 holds nobody to a limit who has
 * CAP_SYS_RESOURCE.
 */
function writeUnprivileged(path: string, mebibytes: number): string {
  const dd = ["dd", "if=/dev/zero", `of=${path}`, "bs=1M", `count=${mebibytes}`];
  return spawnSync("setpriv", ["--bounding-set", "-sys_resource", ...dd], { encoding: "utf8" }).stderr;
}
