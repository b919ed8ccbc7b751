// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type ByteString, fromBytes } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { formatPax, formatPaxTime, parsePax, parsePaxInteger, parsePaxTime } from "../../src/tar/pax.ts";
import { latin1, paxRecord } from "../support/tar_builder.ts";

const bytes = (options: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<ByteString> =>
  fc.uint8Array(options).map(fromBytes);
const key = bytes({ minLength: 1, maxLength: 30 }).filter((text) =>
  !text.includes("=") && !text.includes("\0") && !text.startsWith("GNU.sparse.")
);

function parse(text: string): [string, string][] {
  return [...parsePax(latin1(text), { offset: 512 })];
}

describe("parsePax()", () => {
  it("gives back what formatPax() wrote, any bytes in values", () => {
    const records = fc.array(fc.tuple(key, bytes({ maxLength: 1200 })), { maxLength: 8 }).map((list) => new Map(list));
    fc.assert(fc.property(records, (map) => {
      const sorted = [...map].sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual([...parsePax(formatPax(map), { offset: 0 })], sorted);
    }));
  });

  it("reads records whose length has more digits than the rest suggests", () => {
    for (let length = 0; length < 1010; length++) {
      const map = new Map([[fromBytes(latin1("k")), fromBytes(latin1("v".repeat(length)))]]);
      assert.deepEqual(parsePax(formatPax(map), { offset: 0 }), map);
    }
  });

  it("takes the last of a repeated key, and keeps empty values", () => {
    assert.deepEqual(parse(paxRecord("path", "a") + paxRecord("comment", "") + paxRecord("path", "b")), [
      ["path", "b"],
      ["comment", ""],
    ]);
  });

  it("lets values contain equals signs, newlines and NULs", () => {
    assert.deepEqual(parse(paxRecord("SCHILY.xattr.user.x", "a=b\n\0c")), [["SCHILY.xattr.user.x", "a=b\n\0c"]]);
  });

  it("joins the pairs of sparse format 0.0", () => {
    const text = [["offset", "0"], ["numbytes", "5"], ["offset", "9"], ["numbytes", "1"]] as const;
    assert.deepEqual(parse(text.map(([k, v]) => paxRecord(`GNU.sparse.${k}`, v)).join("")), [
      ["GNU.sparse.map", "0,5,9,1"],
    ]);
  });

  for (
    const [what, text] of [
      ["a length beyond the body", "99 path=a\n"],
      ["a length within its own digits", "0000000000000000000000000000000030 mtime=1\n"],
      ["a length padded with zeros", "010 path=a\n"],
      ["a length of a record without a key", "4 =\n"],
      ["an empty key", "5 =a\n"],
      ["no length", " path=a\n"],
      ["a signed length", "+9 path=a\n"],
      ["a length in hexadecimal", "0xa path=a\n"],
      ["a huge length", "99999999999999999999999999999999 path=a\n"],
      ["no newline at the end", "9 path=ab"],
      ["a length one short", "8 path=a\n"],
      ["no equals sign", "8 patha\n"],
      ["trailing NULs", "10 path=a\n\0\0"],
      ["a NUL in a path", paxRecord("path", "a\0b")],
      ["a NUL in a linkpath", paxRecord("linkpath", "a\0b")],
      ["a NUL in a uname", paxRecord("uname", "a\0b")],
      ["a NUL in a gname", paxRecord("gname", "a\0b")],
      ["a NUL in a sparse name", paxRecord("GNU.sparse.name", "a\0b")],
      ["a NUL in a key", paxRecord("SCHILY.xattr.user.\0x", "a")],
      ["a sparse length without an offset", paxRecord("GNU.sparse.numbytes", "1")],
      ["two sparse offsets in a row", paxRecord("GNU.sparse.offset", "1").repeat(2)],
      ["a comma in a sparse offset", paxRecord("GNU.sparse.offset", "1,2")],
    ] as const
  ) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parse(text), (error) => hasCode(error, "INVALID_ARCHIVE") && error.detail.offset === 512);
    });
  }

  it("ends on any bytes, with records or an error of its own", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (body) => {
      try {
        parsePax(body, { offset: 0 });
      } catch (error) {
        assert.ok(hasCode(error, "INVALID_ARCHIVE"));
      }
    }));
  });
});

describe("parsePaxTime()", () => {
  for (
    const [text, sec, nsec] of [
      ["0", 0, 0],
      ["1350244992.023960108", 1350244992, 23960108],
      ["1.5", 1, 500000000],
      ["1.", 1, 0],
      ["1.0000000019", 1, 1],
      ["-1", -1, 0],
      ["-1.5", -2, 500000000],
      ["-0.5", -1, 500000000],
      ["-0", 0, 0],
      ["-0.0000000001", 0, 0],
    ] as const
  ) {
    it(`reads ${text}`, () => assert.deepEqual(parsePaxTime(text), { sec, nsec }));
  }

  for (const text of ["", ".5", "-", "1e3", "0x10", " 1", "1 ", "+1", "1.-5", "1.5.5", "NaN", "9007199254740992"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parsePaxTime(text), undefined));
  }

  it("reads what formatPaxTime() writes, exactly", () => {
    const time = fc.record({
      sec: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
      nsec: fc.integer({ min: 0, max: 999_999_999 }),
    }, { noNullPrototype: true });
    fc.assert(fc.property(time, (value) => assert.deepEqual(parsePaxTime(formatPaxTime(value)), value)));
  });
});

describe("formatPaxTime()", () => {
  it("is as short as can be", () => {
    assert.equal(formatPaxTime({ sec: 5, nsec: 0 }), "5");
    assert.equal(formatPaxTime({ sec: 5, nsec: 120_000_000 }), "5.12");
    assert.equal(formatPaxTime({ sec: -1, nsec: 500_000_000 }), "-0.5");
    assert.equal(formatPaxTime({ sec: -2, nsec: 999_999_999 }), "-1.000000001");
  });
});

describe("parsePaxInteger()", () => {
  it("takes decimal digits and a minus sign, nothing else", () => {
    assert.equal(parsePaxInteger("12345"), 12345);
    assert.equal(parsePaxInteger("-1"), -1);
    assert.equal(parsePaxInteger("9007199254740991"), 2 ** 53 - 1);
    assert.equal(parsePaxInteger("9007199254740993"), Infinity);
    for (const text of ["", "-", "+5", "1.0", "0x10", "1e3", " 12", "1_000"]) {
      assert.ok(Number.isNaN(parsePaxInteger(text)), text);
    }
  });
});
