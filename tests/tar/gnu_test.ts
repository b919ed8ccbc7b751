// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { parseLongName, parseSparseBlock, parseSparseHeader } from "../../src/tar/gnu.ts";
import { base256, latin1, padded, rawHeader } from "../support/tar_builder.ts";

const number = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;

describe("parseLongName()", () => {
  it("ends at the first NUL, or with the body", () => {
    assert.equal(parseLongName(latin1("a/b\xff\0junk")), "a/b\xff");
    assert.equal(parseLongName(latin1("a/b")), "a/b");
    assert.equal(parseLongName(latin1("\0a")), "");
  });
});

describe("parseSparseHeader()", () => {
  it("reads up to four pieces, the mark of continuation and the real size", () => {
    const map = [1, 2, 3, 4, 5, 6, 7, 8].map(number).join("");
    const block = rawHeader({ type: "S", magic: "gnu", patches: [[386, map], [482, "\x01"], [483, base256(10n, 12)]] });
    const part = parseSparseHeader(block, 0);
    assert.deepEqual(part.extents.map(({ offset, length }) => [offset, length]), [[1, 2], [3, 4], [5, 6], [7, 8]]);
    assert.equal(part.continues, true);
    assert.equal(part.realSize, 10);
  });

  it("ends the map at a piece without an offset", () => {
    const map = number(1) + number(2) + "\0".repeat(24) + number(5) + number(6);
    const block = rawHeader({ type: "S", magic: "gnu", patches: [[386, map]] });
    assert.deepEqual(parseSparseHeader(block, 0).extents, [{ offset: 1, length: 2 }]);
  });
});

describe("parseSparseBlock()", () => {
  it("reads 21 pieces", () => {
    const block = padded(latin1(Array.from({ length: 42 }, (_, i) => number(i)).join("")));
    const part = parseSparseBlock(block, 0);
    assert.equal(part.extents.length, 21);
    assert.deepEqual(part.extents.at(-1), { offset: 40, length: 41 });
    assert.equal(part.continues, false);
  });

  it("refuses junk", () =>
    assert.throws(() => parseSparseBlock(padded(latin1("9")), 0), /sparse offset is not a number/));
});
