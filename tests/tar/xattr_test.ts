// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { fromBytes, fromText } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { xattrRecord, xattrsOf } from "../../src/tar/xattr.ts";
import { latin1 } from "../support/tar_builder.ts";

const place = { offset: 0, limits: { ...DEFAULT_LIMITS, xattrsMax: 2, xattrBytesMax: 3 } };

function records(
  ...pairs: readonly (readonly [string, string])[]
): Map<ReturnType<typeof fromText>, ReturnType<typeof fromText>> {
  return new Map(pairs.map(([key, value]) => [fromBytes(latin1(key)), fromBytes(latin1(value))]));
}

describe("xattrsOf()", () => {
  it("takes SCHILY.xattr records with their bytes, empty ones too, and no others", () => {
    const found = xattrsOf(
      records(["SCHILY.xattr.user.a", "\0\xff"], ["LIBARCHIVE.xattr.user.a", "AP8"], ["path", "p"]),
      place,
    );
    assert.deepEqual([...found], [["user.a", latin1("\0\xff")]]);
    assert.deepEqual([...xattrsOf(records(["SCHILY.xattr.user.e", ""]), place)], [["user.e", latin1("")]]);
  });

  it("takes names that are members of every object", () => {
    const found = xattrsOf(records(["SCHILY.xattr.__proto__", "1"], ["SCHILY.xattr.constructor", "2"]), place);
    assert.deepEqual([...found.keys()], ["__proto__", "constructor"]);
  });

  it("refuses an attribute without a name", () => {
    assert.throws(() => xattrsOf(records(["SCHILY.xattr.", "1"]), place), (error) => hasCode(error, "INVALID_ARCHIVE"));
  });

  it("bounds count and bytes", () => {
    const long = records(["SCHILY.xattr.a", "1234"]);
    const many = records(["SCHILY.xattr.a", "1"], ["SCHILY.xattr.b", "2"], ["SCHILY.xattr.c", "3"]);
    for (const [found, limit] of [[long, "xattrBytesMax"], [many, "xattrsMax"]] as const) {
      assert.throws(() => xattrsOf(found, place), (e) => hasCode(e, "LIMIT_EXCEEDED") && e.detail.limit === limit);
    }
  });
});

describe("xattrRecord()", () => {
  it("is what xattrsOf() reads", () => {
    const value = Uint8Array.of(0, 10, 61, 255);
    assert.deepEqual([
      ...xattrsOf(new Map([xattrRecord(fromText("user.x"), value)]), { offset: 0, limits: DEFAULT_LIMITS }),
    ], [
      ["user.x", value],
    ]);
  });
});
