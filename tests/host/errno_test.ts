// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { StrataError } from "../../src/core/errors.ts";
import { errnoOf, fromOsError, hasErrno, isOsError, OsError } from "../../src/host/errno.ts";

describe("OsError", () => {
  it("names the number, the call and the place", () => {
    const error = new OsError(2, "openat", "a/b");
    assert.deepEqual([error.code, error.errno, error.syscall, error.path], ["ENOENT", 2, "openat", "a/b"]);
    assert.equal(error.message, 'openat "a/b": no such file or directory (ENOENT)');
    assert.equal(new OsError(95, "x").code, "EOPNOTSUPP");
    assert.equal(new OsError(11, "x").code, "EAGAIN");
    assert.equal(new OsError(9999, "x").code, "errno 9999");
  });

  it("isOsError() tells codes apart", () => {
    const error = new OsError(errnoOf("EEXIST"), "mkdirat");
    assert.equal(isOsError(error), true);
    assert.equal(isOsError(error, "ENOENT", "EEXIST"), true);
    assert.equal(isOsError(error, "ENOENT"), false);
    assert.equal(isOsError(new Error("x")), false);
  });
});

describe("fromOsError()", () => {
  it("maps codes to what the caller does next, and keeps the cause", () => {
    const table = {
      ENOSPC: "NO_SPACE",
      EDQUOT: "NO_SPACE",
      EPERM: "NOT_PERMITTED",
      EACCES: "NOT_PERMITTED",
      EROFS: "NOT_PERMITTED",
      ENOSYS: "NOT_SUPPORTED",
      EOPNOTSUPP: "NOT_SUPPORTED",
      EIO: "IO",
      ENOENT: "IO",
    };
    for (const [code, expected] of Object.entries(table)) {
      const cause = new OsError(errnoOf(code), "openat", "x");
      const error = fromOsError(cause, "read the record");
      assert.equal(error.code, expected, code);
      assert.equal(error.cause, cause);
      assert.match(error.message, new RegExp(`^Cannot read the record: .*\\(${code}, openat\\) at "x"; .+`));
    }
  });

  it("reads the errors of node:fs", () => {
    let caught: unknown;
    try {
      readFileSync("/no/such/file");
    } catch (error) {
      caught = error;
    }
    assert.equal(hasErrno(caught, "ENOENT"), true);
    assert.equal(hasErrno(caught, "EIO"), false);
    const error = fromOsError(caught, "read");
    assert.equal(error.code, "IO");
    assert.match(error.message, /ENOENT/);
  });

  it("returns a StrataError as it is, and wraps anything else", () => {
    const own = new StrataError("ABORTED", "stop", {});
    assert.equal(fromOsError(own, "x"), own);
    assert.equal(fromOsError("odd", "x").message, "Cannot x: odd");
    assert.equal(fromOsError(new TypeError("odd"), "x").code, "IO");
  });
});
