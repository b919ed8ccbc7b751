// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { ownershipHere, parseChownErrors } from "../../../src/driver/parts/ownership.ts";
import { inUserNamespace } from "../../../src/host/namespaces/user_namespace.ts";
import { parseVfsOptions } from "../../../src/driver/vfs/options.ts";

describe("ownershipHere()", () => {
  it("is the user's own without privilege, and the option's with it", () => {
    const isRoot = process.geteuid?.() === 0;
    assert.equal(ownershipHere("ignored"), isRoot ? "archive-where-possible" : "self");
    const kept = inUserNamespace() ? "archive-without-devices" : "archive";
    assert.equal(ownershipHere("refused"), isRoot ? kept : "self");
  });
});

describe("ignore_chown_errors", () => {
  it("is true or false", () => {
    assert.deepEqual(["true", "1", "false", "0"].map((value) => parseChownErrors("x", value)), [
      "ignored",
      "ignored",
      "refused",
      "refused",
    ]);
    assert.throws(() => parseChownErrors("x", "yes"), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });

  it("is an option of vfs", () => {
    assert.deepEqual(parseVfsOptions({}), {});
    assert.deepEqual(parseVfsOptions({ "vfs.ignore_chown_errors": "true" }), { chownErrors: "ignored" });
    assert.throws(() => parseVfsOptions({ "vfs.colour": "1" }), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});
