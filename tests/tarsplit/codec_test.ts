// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ByteString, fromBytes, fromText } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { decodeRecords, encodeRecord, RecordDecoder } from "../../src/tarsplit/codec.ts";
import { crc64 } from "../../src/tarsplit/crc64.ts";
import type { FileRecord, SplitRecord } from "../../src/tarsplit/record.ts";

const DAMAGED: readonly (readonly [what: string, text: string | Uint8Array])[] = [
  ["a truncated object", '{"type":2,"payload":"Zm9v"'],
  ["a truncated string", '{"type":2,"payl'],
  ["a value that is not an object", "[1]"],
  ["a stray brace", "}"],
  ["text that is not JSON", '{"type":2,}'],
  ["a string that is not UTF-8", Buffer.from('{"type":1,"name":"\xff"}', "latin1")],
  ["a type that is not a number", '{"type":"2","payload":""}'],
  ["a broken type", '{"type":1.5}'],
  ["a name that is not a string", '{"type":1,"name":7}'],
  ["a negative size", '{"type":1,"size":-1}'],
  ["a size beyond 2^53", '{"type":1,"size":9007199254740993,"payload":"PDwwMAAAAAA="}'],
  ["base64 of the other alphabet", '{"type":2,"payload":"__-_"}'],
  ["base64 without padding", '{"type":2,"payload":"Zm9vAA"}'],
  ["base64 that goes on after its padding", '{"type":2,"payload":"Zg==Zg=="}'],
  ["a payload that is not a string", '{"type":2,"payload":[1]}'],
  ["content without a CRC", '{"type":1,"name":"a","size":3,"payload":null}'],
  ["a short CRC", '{"type":1,"name":"a","size":3,"payload":"PDww"}'],
];

describe("encodeRecord()", () => {
  it("writes a segment", () => {
    const line = encodeRecord({ type: "segment", payload: Buffer.from("foo\0") }, 0);
    assert.equal(line, '{"type":2,"payload":"Zm9vAA==","position":0}\n');
  });

  it("writes a file with its CRC", () => {
    const line = encodeRecord({ type: "file", name: fromText("foo"), size: 3, crc: crc64(Buffer.from("foo")) }, 1);
    assert.equal(line, '{"type":1,"name":"foo","size":3,"payload":"PDwwMAAAAAA=","position":1}\n');
  });

  it("leaves size out and payload null for a member without content", () => {
    assert.equal(encodeRecord(empty(fromText("d/")), 1), '{"type":1,"name":"d/","payload":null,"position":1}\n');
  });

  it("writes a name that is not UTF-8 in base64", () => {
    const line = encodeRecord(empty(fromBytes(Buffer.from("626164e46e616d65", "hex"))), 11);
    assert.equal(line, '{"type":1,"name_raw":"YmFk5G5hbWU=","payload":null,"position":11}\n');
  });

  it("writes no field for an empty name", () => {
    assert.equal(encodeRecord(empty(fromText("")), 1), '{"type":1,"payload":null,"position":1}\n');
  });

  it("escapes as Go does", () => {
    const name = fromText('<a>&b\t\n\r"\\\u0001\b\f\u007f\u2028\u2029é😀');
    const escaped = '\\u003ca\\u003e\\u0026b\\t\\n\\r\\"\\\\\\u0001\\u0008\\u000c\u007f\\u2028\\u2029é😀';
    assert.equal(encodeRecord(empty(name), 2), `{"type":1,"name":"${escaped}","payload":null,"position":2}\n`);
  });
});

describe("decodeRecords()", () => {
  it("gives back what encodeRecord() was given, however the text is cut", () => {
    fc.assert(fc.property(fc.array(anyRecord(), { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (records, step) => {
      const text = Buffer.from(records.map(encodeRecord).join(""));
      assert.deepEqual([...decodeRecords(cut(text, step))].map(plain), records.map(plain));
    }));
  });

  it("takes values without a line each, and white space anywhere", () => {
    const text =
      '{"type":2,"payload":"Zm9v"}{"type":1,\n "name" : "a\\"}"\r\n,\t"size":0} \n\n{"type":2,"payload":"YmFy"}';
    assert.deepEqual(decode(text), [segment("foo"), empty(fromText('a"}')), segment("bar")]);
  });

  it("takes names of fields in any case, unknown fields and null", () => {
    const text = '{"TYPE":1,"Name":"x","Size":null,"new":{"a":["}"]},"PayLoad":null}';
    assert.deepEqual(decode(text), [empty(fromText("x"))]);
  });

  it("prefers name_raw when it is not empty", () => {
    assert.deepEqual(decode('{"type":1,"name":"x","name_raw":"/w=="}'), [empty(fromBytes(Uint8Array.of(0xff)))]);
    assert.deepEqual(decode('{"type":1,"name":"x","name_raw":""}'), [empty(fromText("x"))]);
  });

  it("passes over types that it does not know", () => {
    assert.deepEqual(decode('{"type":3,"payload":"Zm9v"}{"type":2,"payload":"Zm9v"}'), [segment("foo")]);
  });

  for (const [what, text] of DAMAGED) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decode(text), (error) => hasCode(error, "CORRUPT") && error.detail.path === "x.json.gz");
    });
  }

  it("never fails but with an error of its own", () => {
    const line = encodeRecord({ type: "file", name: fromText("a\\b"), size: 3, crc: crc64(Buffer.from("foo")) }, 1);
    const edits = fc.array(fc.tuple(fc.nat({ max: line.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(fc.property(edits, (list) => {
      const bytes = Buffer.from(line);
      for (const [at, byte] of list) bytes[at] = byte;
      try {
        [...decodeRecords([bytes])];
      } catch (error) {
        assert.ok(hasCode(error, "CORRUPT"), String(error));
      }
    }));
  });
});

describe("RecordDecoder", () => {
  it("refuses a record without end before it has grown beyond the limit", () => {
    const decoder = new RecordDecoder();
    decoder.push(Buffer.from('{"type":2,"payload":"'));
    const chunk = Buffer.alloc(4 << 20, "A");
    let pushed = 0;
    assert.throws(
      () => {
        for (; pushed < 20; pushed++) decoder.push(chunk);
      },
      (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "SPLIT_RECORD_BYTES_MAX",
    );
    assert.ok(pushed <= 16);
  });
});

function anyRecord(): fc.Arbitrary<SplitRecord> {
  const name = fc.uint8Array({ maxLength: 20 }).map(fromBytes);
  const text = fc.string({ unit: "binary", maxLength: 20 }).map(fromText);
  const content = fc.uint8Array({ minLength: 1, maxLength: 20 });
  return fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((payload): SplitRecord => ({ type: "segment", payload })),
    fc.oneof(name, text).map(empty),
    fc.tuple(fc.oneof(name, text), content).map(([name, bytes]): SplitRecord => {
      return { type: "file", name, size: bytes.length, crc: crc64(bytes) };
    }),
  );
}

function decode(text: string | Uint8Array): SplitRecord[] {
  return [...decodeRecords([Buffer.from(text)], { path: "x.json.gz" })].map(plain);
}

/** With arrays of one class, so that deepEqual() compares contents. */
function plain(record: SplitRecord): SplitRecord {
  if (record.type === "segment") return { type: "segment", payload: Uint8Array.from(record.payload) };
  return { ...record, crc: record.crc && Uint8Array.from(record.crc) };
}

function segment(text: string): SplitRecord {
  return { type: "segment", payload: new TextEncoder().encode(text) };
}

function empty(name: ByteString): FileRecord {
  return { type: "file", name, size: 0, crc: undefined };
}

function* cut(bytes: Uint8Array, step: number): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += step) yield bytes.subarray(i, i + step);
}
