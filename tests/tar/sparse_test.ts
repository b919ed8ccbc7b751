// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { hasCode } from "../../src/core/errors.ts";
import {
  archive,
  base256,
  concat,
  latin1,
  longMember,
  padded,
  paxMember,
  rawHeader,
  rawMember,
} from "../support/tar_builder.ts";
import { bytesOf, readMembers, readTar } from "../support/tar_reading.ts";

type Records = [string, string][];
const number = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;

const map10 = (text: string): Uint8Array => padded(latin1(text));
const V10: Records = [["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "10"]];
const V01: Records = [["GNU.sparse.major", "0"], ["GNU.sparse.minor", "1"], ["GNU.sparse.size", "10"]];

function oldGnu(
  pieces: readonly number[],
  { realSize = 10, more = [] as Uint8Array[], content = "xyz" } = {},
): Uint8Array {
  const patches: [number, string][] = [[386, pieces.map(number).join("")], [483, number(realSize)]];
  if (more.length > 0) patches.push([482, "\x01"]);
  const header = rawHeader({ name: "s", type: "S", magic: "gnu", size: content.length, patches });
  return concat(header, ...more, padded(latin1(content)));
}

function continuation(pieces: readonly number[], isLast: "last" | "more"): Uint8Array {
  const block = new Uint8Array(512);
  block.set(latin1(pieces.map(number).join("")));
  block[504] = isLast === "more" ? 1 : 0;
  return block;
}

/** The one member of an archive, as `[name, size, storedSize, pieces, payload]`. */
function read(bytes: Uint8Array): unknown[] {
  const reading = readTar(bytes);
  if (reading.error !== undefined) throw reading.error;
  assert.deepEqual(bytesOf(reading.events), bytes);
  const [member] = reading.members;
  assert.ok(member);
  const { name, size, storedSize, sparse } = member.entry;
  return [name, size, storedSize, sparse?.map((p) => [p.offset, p.length]), String.fromCharCode(...member.payload)];
}

const file = (content: string | Uint8Array): Uint8Array => rawMember({ name: "GNUSparseFile.0/s" }, content);

describe("TarReader on sparse members", () => {
  it("reads PAX 0.0", () => {
    const records: Records = [
      ["GNU.sparse.size", "10"],
      ["GNU.sparse.numblocks", "2"],
      ["GNU.sparse.offset", "1"],
      ["GNU.sparse.numbytes", "2"],
      ["GNU.sparse.offset", "4"],
      ["GNU.sparse.numbytes", "1"],
    ];
    assert.deepEqual(read(archive(paxMember(records), rawMember({ name: "s" }, "xyz"))), [
      "s",
      10,
      3,
      [[1, 2], [4, 1]],
      "xyz",
    ]);
  });

  it("reads PAX 0.1", () => {
    const records: Records = [...V01, ["GNU.sparse.name", "s"], ["GNU.sparse.numblocks", "1"], [
      "GNU.sparse.map",
      "4,3",
    ]];
    assert.deepEqual(read(archive(paxMember(records), file("xyz"))), ["s", 10, 3, [[4, 3]], "xyz"]);
  });

  it("reads a file that is one hole", () => {
    const records: Records = [...V01, ["GNU.sparse.numblocks", "0"]];
    assert.deepEqual(read(archive(paxMember(records), rawMember({ name: "s" }))), ["s", 10, 0, [], ""]);
    const v10 = archive(paxMember([...V10, ["GNU.sparse.name", "s"]]), file(map10("1\n10\n0\n")));
    assert.deepEqual(read(v10), ["s", 10, 0, [], ""]);
  });

  it("reads PAX 1.0 and keeps the map out of the payload", () => {
    const records: Records = [...V10, ["GNU.sparse.name", "s"]];
    const content = concat(map10("2\n4\n3\n10\n0\n"), latin1("xyz"));
    assert.deepEqual(read(archive(paxMember(records), file(content))), ["s", 10, 3, [[4, 3]], "xyz"]);
  });

  it("reads a PAX 1.0 map of several blocks", () => {
    const count = 200;
    const lines = Array.from({ length: count }, (_, i) => `${1000 + 2 * i}\n1\n`).join("");
    const records: Records = [["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "2000"]];
    const content = concat(map10(`${count}\n${lines}`), latin1("x".repeat(count)));
    const [member] = readMembers(archive(paxMember(records), rawMember({ name: "s" }, content)), { chunks: [7] });
    assert.equal(member?.entry.sparse?.length, count);
    assert.equal(member?.entry.storedSize, count);
    assert.equal(member?.entry.headerSize, content.length);
  });

  it("reads old GNU maps with and without continuation", () => {
    assert.deepEqual(read(archive(oldGnu([4, 3, 10, 0]))), ["s", 10, 3, [[4, 3]], "xyz"]);
    const more = [continuation([3, 1], "more"), continuation([], "more"), continuation([5, 1], "last")];
    assert.deepEqual(read(archive(oldGnu([1, 1], { more }))), ["s", 10, 3, [[1, 1], [3, 1], [5, 1]], "xyz"]);
  });

  it("prefers the sparse name to all others, as Go does", () => {
    const records: Records = [...V10, ["GNU.sparse.name", "s"], ["path", "p"]];
    const bytes = archive(paxMember(records), longMember("L", "l"), file(concat(map10("1\n4\n3\n"), latin1("xyz"))));
    assert.equal(read(bytes)[0], "s");
  });

  const withMap = (text: string, content = "xyz"): Uint8Array =>
    archive(paxMember(V10), file(concat(map10(text), latin1(content))));
  const withRecords = (records: Records): Uint8Array => archive(paxMember(records), file("xyz"));
  const numbered = (map: string, blocks = "1"): Records => [
    ...V01,
    ["GNU.sparse.numblocks", blocks],
    ["GNU.sparse.map", map],
  ];
  for (
    const [what, bytes] of [
      ["pieces out of order", withRecords(numbered("4,1,1,2", "2"))],
      ["pieces that overlap", withRecords(numbered("1,2,2,1", "2"))],
      ["a piece past the end", withRecords(numbered("8,3"))],
      ["pieces shorter than the payload", withRecords(numbered("4,2"))],
      ["pieces longer than the payload", withRecords(numbered("4,4"))],
      ["a negative offset", withRecords(numbered("-1,3"))],
      ["a number beyond 2^53 - 1", withRecords(numbered("9007199254740992,3"))],
      ["a count that is not the map's", withRecords(numbered("4,3", "2"))],
      ["a map of half a piece", withRecords(numbered("4,3,5"))],
      ["a map without a size", withRecords([["GNU.sparse.numblocks", "1"], ["GNU.sparse.map", "4,3"]])],
      ["a size without a map", withRecords([["GNU.sparse.size", "10"]])],
      ["a name alone", withRecords([["GNU.sparse.name", "s"]])],
      ["two sizes", withRecords([...numbered("4,3"), ["GNU.sparse.realsize", "11"]])],
      ["an unknown version", withRecords([...numbered("4,3"), ["GNU.sparse.major", "2"]])],
      ["half a version", withRecords([["GNU.sparse.major", "1"], ["GNU.sparse.realsize", "10"]])],
      ["an unknown record", withRecords([...numbered("4,3"), ["GNU.sparse.future", "1"]])],
      ["a sparse directory", archive(paxMember(numbered("4,3")), rawMember({ name: "d/", type: "5" }))],
      ["a map with an empty line", withMap("1\n\n4\n3\n")],
      ["a map with a negative number", withMap("1\n-4\n3\n")],
      ["a map with a number beyond 2^53 - 1", withMap("1\n99999999999999999\n3\n")],
      ["a map longer than its payload", archive(paxMember(V10), file("9\n4\n3\n"))],
      ["a map that never ends", archive(paxMember(V10), file(map10("9\n4\n3\n0\n")))],
      ["old GNU pieces out of order", archive(oldGnu([4, 1, 1, 2]))],
      ["an old GNU map past the end", archive(oldGnu([4, 3], { realSize: 6 }))],
      [
        "an old GNU map with a negative size",
        archive(rawHeader({
          type: "S",
          magic: "gnu",
          patches: [[483, base256(2n ** 96n - 1n, 12)], [386, number(0) + number(0)]],
        })),
      ],
      ["star's sparse header", archive(rawHeader({ type: "S", magic: "star" }))],
      ["both kinds of map", archive(paxMember(numbered("4,3")), oldGnu([4, 3]))],
    ] as const
  ) {
    it(`refuses ${what}`, () => {
      const { error, members } = readTar(bytes);
      assert.ok(hasCode(error, "INVALID_ARCHIVE"), String(error));
      assert.equal(members.length, 0);
    });
  }

  it("bounds the pieces", () => {
    for (
      const bytes of [withRecords(numbered("4,1,6,2", "2")), withMap("2\n4\n1\n6\n2\n"), archive(oldGnu([4, 1, 6, 2]))]
    ) {
      assert.equal(readTar(bytes, { limits: { sparseExtentsMax: 2 } }).error, undefined);
      const { error } = readTar(bytes, { limits: { sparseExtentsMax: 1 } });
      assert.ok(hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "sparseExtentsMax", String(error));
    }
  });

  it("bounds the blocks of a map, although each is empty", () => {
    const more = [...Array.from({ length: 3 }, () => continuation([], "more")), continuation([4, 3], "last")];
    const bytes = archive(oldGnu([], { more }));
    assert.equal(readTar(bytes, { limits: { extensionBytesMax: 2048 } }).error, undefined);
    const { error } = readTar(bytes, { limits: { extensionBytesMax: 2047 } });
    assert.ok(hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "extensionBytesMax", String(error));
  });
});
