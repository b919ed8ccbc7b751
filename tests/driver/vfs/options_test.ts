// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { parseVfsOptions } from "../../../src/driver/vfs/options.ts";

describe("parseVfsOptions()", () => {
  it("takes limits under Docker's names, too, and what becomes of owners", () => {
    assert.deepEqual(parseVfsOptions({ "size": "1k", "vfs.inodes": "3" }), { limits: { bytes: 1024, inodes: 3 } });
    assert.deepEqual(parseVfsOptions({ "vfs.ignore_chown_errors": "true" }), { chownErrors: "ignored" });
    assert.deepEqual(parseVfsOptions({}), {});
  });

  it("tells who names further stores what to give instead", () => {
    for (const name of ["vfs.imagestore", ".imagestore"]) {
      assert.throws(
        () => parseVfsOptions({ [name]: "/srv/images" }),
        (error) => hasCode(error, "INVALID_ARGUMENT") && /"--read-only-root \/srv\/images"/.test(error.message),
      );
    }
  });

  it("refuses what it does not know", () => {
    assert.throws(
      () => parseVfsOptions({ "overlay2.size": "1k" }),
      (error) => hasCode(error, "INVALID_ARGUMENT") && error.message.includes('"vfs.size"'),
    );
  });
});
