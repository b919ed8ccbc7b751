// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { describe, it } from "node:test";
import { backingRefusal } from "../../../../src/driver/overlay/mounting/backing.ts";
import { OVERLAY_FACTORY } from "../../../../src/driver/overlay/overlay_driver.ts";
import { runCommand } from "../../../../src/host/command.ts";
import { mountAt } from "../../../../src/host/mount_table.ts";
import { IS_ROOT, scratch } from "../../../host/scratch.ts";

describe("backingRefusal()", () => {
  it("names file systems that keep no upper, and leaves the rest to a trial", () => {
    for (const name of ["overlayfs", "aufs", "ecryptfs", "nfs", "cifs", "smb2", "ceph", "lustre"]) {
      const refusal = backingRefusal(name);
      assert.equal(refusal?.lacking, "file system", name);
      assert.match(refusal?.reason ?? "", new RegExp(` on ${name}; put the store on a local file system`));
    }
    for (const name of ["extfs", "xfs", "btrfs", "tmpfs", "fuse", "zfs", "unknown (0x1)"]) {
      assert.equal(backingRefusal(name), undefined, name);
    }
  });
});

describe("a home on overlayfs", { skip: IS_ROOT ? false : "mounting needs root" }, () => {
  it("is refused, also when it does not exist yet", async (t) => {
    using dir = scratch();
    // The upper itself must not be an overlay.
    const [base, merged] = [`${dir.path}/base`, `${dir.path}/base/merged`];
    mkdirSync(base);
    try {
      await runCommand("mount", ["-t", "tmpfs", "--", "strata-test", base]);
      for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(`${base}/${name}`);
      const options = `lowerdir=${base}/lower,upperdir=${base}/upper,workdir=${base}/work`;
      const { code } = await runCommand("mount", ["-t", "overlay", "-o", options, "--", "overlay", merged]);
      if (code !== 0) return t.skip("this kernel mounts no overlay");
      for (const home of [merged, `${merged}/not/yet`]) {
        const refusal = await OVERLAY_FACTORY.probe(home, {});
        assert.deepEqual(refusal, backingRefusal("overlayfs"));
      }
    } finally {
      for (const path of [merged, base]) if (mountAt(path) !== undefined) await runCommand("umount", ["--", path]);
    }
  });
});
