// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { parseOverlayOptions } from "../../../src/driver/overlay/options.ts";

describe("parseOverlayOptions()", () => {
  it("takes a list of mount options", () => {
    assert.deepEqual(parseOverlayOptions({ "overlay2.mountopt": "nodev,xino=auto" }), {
      mountOptions: ["nodev", "xino=auto"],
    });
    assert.deepEqual(parseOverlayOptions({ "overlay.mountopt": "volatile" }), { mountOptions: ["volatile"] });
    assert.deepEqual(parseOverlayOptions({ "overlay2.mountopt": "" }), { mountOptions: [] });
    assert.deepEqual(parseOverlayOptions({}), { mountOptions: [] });
  });

  it("takes what becomes of owners that cannot be set", () => {
    const parsed = (value: string) => parseOverlayOptions({ "overlay2.ignore_chown_errors": value }).chownErrors;
    assert.deepEqual([parsed("true"), parsed("false")], ["ignored", "refused"]);
    assert.throws(() => parsed("maybe"), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });

  it("takes how changes are found", () => {
    assert.equal(parseOverlayOptions({ "overlay2.native_diff": "false" }).diffs, "naive");
    assert.equal(parseOverlayOptions({ "overlay2.native_diff": "true" }).diffs, undefined);
    assert.throws(() => parseOverlayOptions({ "overlay2.native_diff": "x" }), (e) => hasCode(e, "INVALID_ARGUMENT"));
  });

  it("takes the option that Docker takes and does not heed", () => {
    for (const name of ["overlay2.override_kernel_check", "overlay.skip_mount_home"]) {
      assert.deepEqual(parseOverlayOptions({ [name]: "true" }), { mountOptions: [] });
    }
  });

  it("takes limits of writable layers", () => {
    const { limits } = parseOverlayOptions({ "overlay2.size": "10G", "Overlay2.Inodes": "1000" });
    assert.deepEqual(limits, { bytes: 10 * 2 ** 30, inodes: 1000 });
    assert.deepEqual(parseOverlayOptions({ "overlay.size": "0" }).limits, { bytes: 0, inodes: 0 });
  });

  it("tells who names further stores what to give instead", () => {
    for (const name of ["overlay.imagestore", ".imagestore", "overlay2.additionalimagestore"]) {
      assert.throws(() => parseOverlayOptions({ [name]: "/a,/b" }), (error) => {
        return hasCode(error, "INVALID_ARGUMENT") &&
          error.message.includes('"--read-only-root /a --read-only-root /b"');
      });
    }
  });

  it("refuses sizes that are none, and what it does not know", () => {
    assert.throws(() => parseOverlayOptions({ "overlay2.size": "10X" }), (error) => hasCode(error, "INVALID_ARGUMENT"));
    assert.throws(() => parseOverlayOptions({ "vfs.size": "10G" }), (error) => {
      return hasCode(error, "INVALID_ARGUMENT") && error.message.includes("overlay2.mountopt");
    });
  });
});
