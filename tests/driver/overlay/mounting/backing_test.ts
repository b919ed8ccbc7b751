// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { backingRefusal } from "../../../../src/driver/overlay/mounting/backing.ts";
import { OVERLAY_FACTORY } from "../../../../src/driver/overlay/overlay_driver.ts";
import { mountOverlay, whyNoOverlay } from "../../../support/overlay_file_system.ts";

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

describe("a home on overlayfs", { skip: whyNoOverlay() ?? false }, () => {
  it("is refused, also when it does not exist yet", async () => {
    using overlay = mountOverlay();
    for (const home of [overlay.path, `${overlay.path}/not/yet`]) {
      assert.deepEqual(await OVERLAY_FACTORY.probe(home, {}), backingRefusal("overlayfs"));
    }
  });
});
