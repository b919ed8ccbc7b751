// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { fromText } from "../../src/core/bytes.ts";
import { encodeRecord } from "../../src/tarsplit/codec.ts";
import { SplitWriter } from "../../src/tarsplit/file.ts";
import type { SplitRecord } from "../../src/tarsplit/record.ts";

describe("SplitWriter", () => {
  it("writes the records' lines in several gzip members, counting positions through", () => {
    const records: SplitRecord[] = Array.from({ length: 3000 }, (_, i): SplitRecord => {
      return i % 2 === 0
        ? { type: "segment", payload: new Uint8Array(512).fill(i) }
        : { type: "file", name: fromText(`é/${i}`), size: 0, crc: undefined };
    });
    const members = write(records);
    assert.ok(members.length > 1);
    assert.equal(gunzipSync(Buffer.concat(members)).toString(), records.map(encodeRecord).join(""));
  });

  it("writes a valid file of no records", () => {
    const members = write([]);
    assert.equal(members.length, 1);
    assert.equal(gunzipSync(Buffer.concat(members)).length, 0);
  });
});

function write(records: readonly SplitRecord[]): Uint8Array[] {
  const members: Uint8Array[] = [];
  const writer = new SplitWriter({ compress: (bytes) => gzipSync(bytes), sink: (bytes) => members.push(bytes) });
  for (const record of records) writer.write(record);
  writer.end();
  return members;
}
