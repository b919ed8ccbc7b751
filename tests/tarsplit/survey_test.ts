// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { fromText } from "../../src/core/bytes.ts";
import { OwnerIds } from "../../src/tar/owner_ids.ts";
import { TarReader } from "../../src/tar/reader.ts";
import type { SplitRecord } from "../../src/tarsplit/record.ts";
import { archiveBytesOf, type ArchiveFacts, SplitSurvey } from "../../src/tarsplit/survey.ts";
import { rawArchive } from "../support/raw_archive.ts";
import { splitArchive } from "../support/recorded_contents.ts";
import { archive, concat, rawHeader, rawMember } from "../support/tar_builder.ts";

describe("what a tar-split tells of its archive", () => {
  it("is what the archive itself does", () => {
    fc.assert(fc.property(rawArchive(), (bytes) => {
      const { records } = splitArchive([bytes]);
      assert.equal(archiveBytesOf(records), bytes.length);
      assert.deepEqual(survey(records), factsOf(bytes));
    }));
  });

  it("does not depend on contents, be they large or like headers", () => {
    const content = concat(rawMember({ name: "inner", uid: 77 }, "x"), new Uint8Array(3_000_000));
    const bytes = archive(rawMember({ name: "a", uid: 5, gid: 6 }, content), rawMember({ name: "b", uid: 7, gid: 6 }));
    const facts = { archiveBytes: bytes.length, entryCount: 2, uids: [5, 7], gids: [6] };
    assert.deepEqual(survey(splitArchive([bytes]).records), facts);
  });

  it("is the length alone where no tar reader would see the same members", () => {
    const crc = new Uint8Array(8);
    const file = (size: number): SplitRecord => ({ type: "file", name: fromText("f"), size, crc });
    const segment = (...pieces: Uint8Array[]): SplitRecord => ({ type: "segment", payload: concat(...pieces) });
    const foreign: Readonly<Record<string, [SplitRecord[], number]>> = {
      "headers are in a content": [[file(1024), segment(new Uint8Array(1024))], 2048],
      "a content is longer than its member": [[segment(rawHeader({ size: 512 })), file(1024)], 1536],
      "a content is shorter than its member": [[segment(rawHeader({ size: 1024 })), file(512)], 1024],
      "a content comes after a part of it": [[segment(rawHeader({ size: 600 }), new Uint8Array(1)), file(600)], 1113],
      "no archive is in it": [[segment(new Uint8Array(600).fill(1))], 600],
      "it stops in a header": [[segment(rawHeader({ size: 0 }), rawHeader({}).subarray(0, 100))], 612],
    };
    for (const [why, [records, archiveBytes]] of Object.entries(foreign)) {
      assert.deepEqual(survey(records), { archiveBytes }, why);
      assert.equal(archiveBytesOf(records), archiveBytes, why);
    }
  });

  it("is nothing of an empty one", () => {
    assert.equal(archiveBytesOf([]), 0);
    assert.deepEqual(survey([]), { archiveBytes: 0, entryCount: 0, uids: [], gids: [] });
  });
});

function survey(records: Iterable<SplitRecord>): ArchiveFacts {
  const survey = new SplitSurvey();
  for (const record of records) survey.push([record]);
  return survey.finish();
}

function factsOf(bytes: Uint8Array): ArchiveFacts {
  const owners = new OwnerIds();
  let entryCount = 0;
  const ignore = () => {};
  const reader = new TarReader({
    entry(entry) {
      entryCount++;
      owners.add(entry);
    },
    segment: ignore,
    data: ignore,
    endEntry: ignore,
    end: ignore,
  });
  reader.push(bytes);
  reader.end();
  return { archiveBytes: bytes.length, entryCount, ...owners.sets() };
}
