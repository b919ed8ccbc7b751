// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parseByteSize } from "../../src/core/byte_size.ts";
import { hasCode } from "../../src/core/errors.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const TIB = 1024 * GIB;
const PIB = 1024 * TIB;

describe("parseByteSize()", () => {
  const sizes: readonly (readonly [text: string, bytes: number])[] = [
    ["32", 32],
    ["32b", 32],
    ["32B", 32],
    ["32 B", 32],
    ["32 ", 32],
    ["32k", 32 * KIB],
    ["32K", 32 * KIB],
    ["32kb", 32 * KIB],
    ["32Kb", 32 * KIB],
    ["32 Kb", 32 * KIB],
    ["32Kib", 32 * KIB],
    ["32KIB", 32 * KIB],
    ["32Mb", 32 * MIB],
    ["50M", 52_428_800],
    ["32Gb", 32 * GIB],
    ["32Tb", 32 * TIB],
    ["4Pb", 4 * PIB],
    ["4PB", 4 * PIB],
    ["4P", 4 * PIB],
    ["32.3", 32],
    ["32.5 B", 32],
    ["32.5 K", 32.5 * KIB],
    ["32.3 mb", Math.trunc(32.3 * MIB)],
    ["0.3MB", Math.trunc(0.3 * MIB)],
    [".5k", 512],
    ["0.", 0],
    ["0. ", 0],
    ["0.b", 0],
    ["-0", 0],
    ["-0b", 0],
    ["+5k", 5 * KIB],
    ["1e3", 1000],
    ["1e3k", 1000 * KIB],
  ];
  for (const [text, bytes] of sizes) {
    it(`reads ${JSON.stringify(text)}`, () => assert.ok(Object.is(parseByteSize(text), bytes), text));
  }

  const refused: readonly (readonly [text: string, why: RegExp])[] = [
    ["", /no number/],
    ["hello", /no number/],
    [".", /no number/],
    [". ", /no number/],
    [" ", /no number/],
    [" 32 ", /no number/],
    ["32  k", /no number/],
    ["32 k ", /no number/],
    ["32m b", /no number/],
    ["3 2k", /no number/],
    ["1.2.3", /no number/],
    ["0x10", /no number/],
    ["1e", /unit "e"/],
    ["32bm", /unit "bm"/],
    ["32kk", /unit "kk"/],
    ["32kbb", /unit "kbb"/],
    ["32kibi", /unit "kibi"/],
    ["32bib", /unit "bib"/],
    ["32x", /unit "x"/],
    ["1\n", /unit/],
    ["-32", /negative/],
    ["-32b", /negative/],
    ["-1", /negative/],
    ["-0.5", /negative/],
    ["16p", /too large/],
    ["1e400", /too large/],
  ];
  for (const [text, why] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseByteSize(text),
        (error) => hasCode(error, "INVALID_ARGUMENT") && why.test(error.message) && error.message.startsWith("Cannot "),
      );
    });
  }

  it("reads every whole number of every unit exactly", () => {
    const unit = fc.constantFrom(["", 1], ["b", 1], ["K", KIB], ["mib", MIB], ["GB", GIB] as const);
    fc.assert(fc.property(fc.nat({ max: 4_000_000 }), unit, fc.constantFrom("", " "), (count, [name, bytes], blank) => {
      assert.equal(parseByteSize(`${count}${blank}${name}`), count * Number(bytes));
    }));
  });
});
