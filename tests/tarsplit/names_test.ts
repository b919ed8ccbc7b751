// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { cleanName } from "../../src/tarsplit/names.ts";

/** Values of Go's path.Clean. */
const CLEAN: readonly (readonly [name: string, clean: string])[] = [
  ["", "."],
  [".", "."],
  ["./", "."],
  ["a", "a"],
  ["a/", "a"],
  ["./a", "a"],
  ["a//b/./c/", "a/b/c"],
  ["x/../a", "a"],
  ["x/..", "."],
  ["../a", "../a"],
  ["../../a/..", "../.."],
  ["a/../../b", "../b"],
  ["/", "/"],
  ["//", "/"],
  ["/a", "/a"],
  ["/../a", "/a"],
  ["/a/../..", "/"],
  ["...", "..."],
  ["..a/.b", "..a/.b"],
];

describe("cleanName()", () => {
  for (const [name, clean] of CLEAN) {
    it(`leaves "${clean}" of "${name}"`, () => assert.equal(cleanName(fromText(name)), clean));
  }
});
