// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decodeRecords, encodeRecord } from "../../src/tarsplit/codec.ts";
import { cleanName } from "../../src/tarsplit/names.ts";
import type { SplitRecord } from "../../src/tarsplit/record.ts";
import { padded, rawArchive, rawHeader } from "../support/raw_archive.ts";
import { cutInto, joinArchive, type SplitArchive, splitArchive } from "../support/recorded_contents.ts";

const steps = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 });

describe("an archive that was split", () => {
  it("is given back byte for byte (I6)", () => {
    fc.assert(
      fc.property(rawArchive(), steps, (bytes, cuts) => {
        assert.deepEqual(Buffer.from(joinArchive(splitArchive(cutInto(bytes, cuts)))), Buffer.from(bytes));
      }),
      { numRuns: 400 },
    );
  });

  it("has the same records, however it was cut", () => {
    fc.assert(fc.property(rawArchive(), steps, (bytes, cuts) => {
      assert.deepEqual(linesOf(splitArchive(cutInto(bytes, cuts))), linesOf(splitArchive([bytes])));
    }));
  });

  it("survives its file", () => {
    fc.assert(fc.property(rawArchive(), steps, (bytes, cuts) => {
      const archive = splitArchive([bytes]);
      const text = Buffer.from(linesOf(archive).join(""));
      const records = [...decodeRecords(cutInto(text, cuts))];
      assert.deepEqual(Buffer.from(joinArchive({ ...archive, records })), Buffer.from(bytes));
    }));
  });

  it("names no file twice, for the reference refuses that", () => {
    fc.assert(fc.property(rawArchive(), (bytes) => {
      const names = filesOf(splitArchive([bytes]).records).map((name) => cleanName(name));
      assert.equal(new Set(names).size, names.length);
    }));
  });

  it("may end inside the padding", () => {
    const whole = Buffer.concat([rawHeader({ name: "a", type: "0", size: 600 }), padded(Buffer.alloc(600, "x"), 0x70)]);
    for (let end = 512 + 600; end <= whole.length; end++) {
      const bytes = whole.subarray(0, end);
      const archive = splitArchive([bytes]);
      assert.equal(filesOf(archive.records).length, 1);
      assert.deepEqual(Buffer.from(joinArchive(archive)), bytes);
    }
  });
});

function linesOf(archive: SplitArchive): string[] {
  return archive.records.map(encodeRecord);
}

function filesOf(records: readonly SplitRecord[]) {
  return records.flatMap((record) => record.type === "file" ? [record.name] : []);
}
