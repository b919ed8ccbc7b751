// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Crc64, crc64 } from "../../src/tarsplit/crc64.ts";

const VECTORS: readonly (readonly [text: string, hex: string])[] = [
  ["", "0000000000000000"],
  ["a", "3420000000000000"],
  ["abc", "3776c42000000000"],
  ["foo", "3c3c303000000000"],
  ["bar", "2dc416f000000000"],
  ["baz", "204416f000000000"],
  ["bif", "300996f000000000"],
  ["123456789", "b90956c775a41001"],
  ["imma hurr til I derp", "0274a4b1abec6b4e"],
  ["café con leche, por favor", "7e4859efe6fca0bb"],
  ["The quick brown fox jumps over the lazy dog", "4ef14e19f4c6e28e"],
];

describe("crc64()", () => {
  for (const [text, hex] of VECTORS) {
    it(`gives Go's value for "${text}"`, () => assert.equal(hexOf(crc64(Buffer.from(text))), hex));
  }

  it("gives Go's value for 1 MiB of NUL", () => {
    assert.equal(hexOf(crc64(new Uint8Array(1 << 20))), "430efbe3cfd1f78c");
  });

  it("is the remainder of the division, bit by bit", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.equal(hexOf(crc64(bytes)), bitwise(bytes));
    }));
  });
});

describe("Crc64.update()", () => {
  it("does not depend on how the bytes are cut, nor on where they lie in memory", () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 });
    fc.assert(fc.property(pieces, fc.nat({ max: 9 }), (parts, offset) => {
      const cut = new Crc64();
      for (const part of parts) {
        const moved = new Uint8Array(part.length + offset);
        moved.set(part, offset);
        cut.update(moved.subarray(offset));
      }
      assert.deepEqual(cut.finish(), crc64(Buffer.concat(parts)));
    }));
  });
});

/** The definition: a register of 64 bits, shifted once for every bit. */
function bitwise(bytes: Uint8Array): string {
  const ones = 0xffffffffffffffffn;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0xd800000000000000n : crc >> 1n;
  }
  return (crc ^ ones).toString(16).padStart(16, "0");
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
