// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Field } from "../../src/tar/layout.ts";
import { fitsOctal, octalMax, parseNumeric, parseOctal, putOctal } from "../../src/tar/numeric.ts";
import { base256, latin1 } from "../support/tar_builder.ts";

function fieldOf(length: number): Field {
  return { label: "test", at: 0, length };
}

function parse(text: string): number {
  return parseNumeric(latin1(text), fieldOf(text.length));
}

describe("parseNumeric()", () => {
  for (
    const [text, value] of [
      ["0000644\0", 0o644],
      ["000644 \0", 0o644],
      ["   644 \0", 0o644],
      ["\0\0 644 \0", 0o644],
      ["644\0junk", 0o644],
      ["77777777", 0o77777777],
      ["\0\0\0\0\0\0\0\0", 0],
      ["        ", 0],
    ] as const
  ) {
    it(`reads ${JSON.stringify(text)} as ${value}`, () => assert.equal(parse(text), value));
  }

  for (const text of ["0000648\0", "-000644\0", "0x00644\0", "64 4\0\0\0\0", "+644\0\0\0\0", "1e3\0\0\0\0\0"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.ok(Number.isNaN(parse(text))));
  }

  it("reads base-256 of either sign", () => {
    const safe = fc.bigInt({ min: -(2n ** 53n) + 2n, max: 2n ** 53n - 2n });
    fc.assert(fc.property(safe, (value) => assert.equal(parse(base256Signed(value, 12)), Number(value))));
  });

  it("gives an infinity for what a number cannot hold exactly", () => {
    assert.equal(parse(base256(2n ** 53n, 12)), Infinity);
    assert.equal(parse(base256(2n ** 90n, 12)), Infinity);
    assert.equal(parse(base256Signed(-(2n ** 60n), 12)), -Infinity);
  });

  it("does not take a huge value for a small one, whatever its bits", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 12, maxLength: 12 }), (bytes) => {
      bytes[0] = (bytes[0] ?? 0) | 0x80;
      const value = parseNumeric(bytes, fieldOf(12));
      assert.equal(Number.isSafeInteger(value), Number.isSafeInteger(Number(exact(bytes))));
      if (Number.isSafeInteger(value)) assert.equal(BigInt(value), exact(bytes));
    }));
  });
});

describe("putOctal()", () => {
  it("writes what parseOctal() reads, up to the field's largest value", () => {
    const field = fieldOf(12);
    fc.assert(fc.property(fc.integer({ min: 0, max: octalMax(field) }), (value) => {
      const block = new Uint8Array(12).fill(0xff);
      putOctal(block, field, value);
      assert.equal(parseOctal(block, field), value);
      assert.equal(block[11], 0);
    }));
  });

  it("is bounded by fitsOctal()", () => {
    assert.equal(octalMax(fieldOf(8)), 2097151);
    assert.equal(octalMax(fieldOf(12)), 8589934591);
    assert.ok(fitsOctal(2097151, fieldOf(8)));
    assert.ok(!fitsOctal(2097152, fieldOf(8)));
    assert.ok(!fitsOctal(-1, fieldOf(8)));
  });
});

/** Two's complement: for a negative number the mark is the sign's own continuation. */
function base256Signed(value: bigint, length: number): string {
  return base256(value & (2n ** BigInt(8 * length) - 1n), length);
}

function exact(bytes: Uint8Array): bigint {
  const isNegative = ((bytes[0] ?? 0) & 0x40) !== 0;
  let value = 0n;
  for (const [i, byte] of bytes.entries()) value = value * 256n + BigInt(i === 0 ? byte & 0x7f : byte);
  return isNegative ? value - 2n ** BigInt(8 * bytes.length - 1) : value;
}
