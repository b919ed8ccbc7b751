// SPDX-License-Identifier: Apache-2.0
/**
 * The records of 47 crafted archives against those that the reference tool made of them (tar-split 0.12.3).
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { isStrataError } from "../../src/core/errors.ts";
import { decodeRecords, encodeRecord } from "../../src/tarsplit/codec.ts";
import type { SplitRecord } from "../../src/tarsplit/record.ts";
import { needsFolder, sharedFolder } from "../support/interop.ts";
import { cutInto, joinArchive, splitArchive } from "../support/recorded_contents.ts";

/** Archives that the reference refuses as malformed, and so do we. */
const REFUSED = ["08a", "08b", "08f", "08g", "08j", "08p", "14", "15", "16", "18"];

/** Archives that the reference refuses for a name that comes twice; it has recorded what came before. */
const REPEATED = ["06b", "07", "07b", "07c"];

/** Archives that the reference takes, but cannot give back from the tree; we keep more of them. */
const KEPT_RAW = ["03", "03b", "08c2", "10", "10b", "10c", "11", "11c"];

const folder = sharedFolder("corpus/tar-vectors");

describe("tar-split's test archives", needsFolder(folder), () => {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => /\.tar(\.gz)?$/.test(name)).sort() : [];

  it("are all there", () => assert.equal(files.length, 47));

  for (const file of files) {
    const vector = file.slice(0, file.indexOf("_"));
    if (REFUSED.includes(vector)) {
      it(`${file} is refused`, () => assert.throws(() => splitArchive([read(file)]), isStrataError));
      continue;
    }
    it(`${file} is given back byte for byte`, () => {
      const bytes = read(file);
      for (const steps of [[bytes.length], [1], [511, 3]]) {
        assert.ok(Buffer.from(joinArchive(splitArchive(cutInto(bytes, steps)))).equals(bytes));
      }
    });
    const reference = referenceOf(file);
    if (reference === undefined) continue;
    it(`${file} has the reference's records`, () => {
      const { records: ours, firstPass } = splitArchive([read(file)]);
      if (REPEATED.includes(vector)) assertSameStart(firstPass, reference);
      else if (KEPT_RAW.includes(vector)) assertSameNames(ours, reference);
      else assertSameLines(ours, reference);
    });
  }
});

/** Equal text up to the last file record; behind it, where the reference's cuts depend on its reads, equal bytes. */
function assertSameLines(ours: readonly SplitRecord[], reference: string): void {
  const theirs = [...decodeRecords([Buffer.from(reference)])];
  const start = theirs.findLastIndex((record) => record.type === "file") + 1;
  const lines = ours.map(encodeRecord);
  assert.deepEqual(lines.slice(0, start), reference.split("\n").slice(0, start).map((line) => `${line}\n`));
  assert.ok(bytesOf(ours.slice(start)).equals(bytesOf(theirs.slice(start))));
}

/** Equal text up to the name that made the reference give up; it writes one segment more before it sees it. */
function assertSameStart(ours: readonly SplitRecord[], reference: string): void {
  const lines = reference.split("\n").slice(0, -1).map((line) => `${line}\n`);
  assert.ok(lines.length > 1);
  assert.deepEqual(ours.map(encodeRecord).slice(0, lines.length), lines);
}

function assertSameNames(ours: readonly SplitRecord[], reference: string): void {
  const theirs = [...decodeRecords([Buffer.from(reference)])];
  assert.deepEqual(namesOf(ours), namesOf(theirs));
}

function namesOf(records: readonly SplitRecord[]): string[] {
  return records.flatMap((record) => record.type === "file" ? [record.name] : []);
}

function bytesOf(records: readonly SplitRecord[]): Buffer {
  return Buffer.concat(records.map((record) => record.type === "segment" ? record.payload : assert.fail("a file")));
}

function read(file: string): Buffer {
  const bytes = readFileSync(`${folder}/${file}`);
  return file.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

function referenceOf(file: string): string | undefined {
  const path = `${folder}/${file.replace(/\.gz$/, "")}-split.json`;
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
