// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { assemble } from "../../src/tarsplit/assemble.ts";
import { crc64 } from "../../src/tarsplit/crc64.ts";
import { inlinePayloads } from "../../src/tarsplit/inline.ts";
import type { FileRecord, SplitRecord } from "../../src/tarsplit/record.ts";

const RECORDS: readonly SplitRecord[] = [
  segment("<d>"),
  { type: "file", name: fromText("d/"), size: 0, crc: undefined },
  segment("<a>"),
  file("a", "content"),
  segment("<b>"),
  file("b", "more"),
  segment("end"),
];

describe("assemble()", () => {
  it("puts contents between the segments, and opens only records with content", () => {
    const opened: string[] = [];
    const contents = {
      open(record: FileRecord) {
        opened.push(record.name);
        return record.name === "a" ? chunks("con", "", "tent") : chunks("more");
      },
    };
    assert.equal(text(assemble(RECORDS, contents)), "<d><a>content<b>moreend");
    assert.deepEqual(opened, ["a", "b"]);
  });

  const damages: readonly (readonly [what: string, content: string[], message: RegExp, out: string])[] = [
    ["other bytes", ["con", "tenT"], /"a": found CRC-64 [0-9a-f]{16}, recorded are CRC-64 [0-9a-f]{16};/, "<d><a>con"],
    ["too few bytes", ["con"], /"a": found 3 bytes, recorded are 7 bytes;/, "<d><a>con"],
    ["too many bytes at once", ["con", "tents"], /"a": found more than 7 bytes, recorded are 7 bytes;/, "<d><a>con"],
    ["too many bytes at the end", ["content", "s"], /"a": found more than 7 bytes/, "<d><a>content"],
    ["no bytes", [], /"a": found 0 bytes/, "<d><a>"],
  ];
  for (const [what, content, message, out] of damages) {
    it(`fails for ${what}, before the last chunk where it can`, () => {
      let seen = "";
      assert.throws(
        () => {
          for (const chunk of assemble(RECORDS, { open: () => chunks(...content) })) seen += Buffer.from(chunk);
        },
        (error) => hasCode(error, "CORRUPT") && error.detail.path === "a" && message.test(error.message),
      );
      assert.equal(seen, out);
    });
  }

  it("closes the content that is open when the reader stops", () => {
    let closed = 0;
    const contents = {
      *open(): Generator<Uint8Array> {
        try {
          yield* chunks("con", "tent");
        } finally {
          closed++;
        }
      },
    };
    for (const chunk of assemble(RECORDS, contents)) if (Buffer.from(chunk).toString() === "con") break;
    assert.equal(closed, 1);
  });
});

describe("inlinePayloads()", () => {
  it("moves lost contents into segments and leaves the rest alone", () => {
    const asked: number[] = [];
    const records = [...inlinePayloads(RECORDS, (position) => {
      asked.push(position);
      return position === 3 ? chunks("con", "tent") : undefined;
    })];
    const kept: SplitRecord = { type: "file", name: fromText("a"), size: 0, crc: undefined };
    assert.deepEqual(asked, [3, 5]);
    assert.deepEqual(records, [...RECORDS.slice(0, 3), kept, segment("con"), segment("tent"), ...RECORDS.slice(4)]);
    assert.equal(text(assemble(records, { open: () => chunks("more") })), "<d><a>content<b>moreend");
  });

  it("refuses a content that is not the recorded one", () => {
    assert.throws(
      () => [...inlinePayloads(RECORDS, () => chunks("CONTENT"))],
      (error) => hasCode(error, "CORRUPT") && error.detail.path === "a",
    );
  });
});

function segment(payload: string): SplitRecord {
  return { type: "segment", payload: new TextEncoder().encode(payload) };
}

function file(name: string, content: string): SplitRecord {
  return { type: "file", name: fromText(name), size: content.length, crc: crc64(Buffer.from(content)) };
}

function chunks(...texts: string[]): Uint8Array[] {
  return texts.map((chunk) => new TextEncoder().encode(chunk));
}

function text(bytes: Iterable<Uint8Array>): string {
  return Buffer.concat([...bytes]).toString();
}
