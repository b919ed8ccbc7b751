// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { hasCode } from "../../src/core/errors.ts";
import { parseHeader, type TarHeader } from "../../src/tar/header.ts";
import { base256, type RawHeader, rawHeader } from "../support/tar_builder.ts";

function parse(header: RawHeader): TarHeader {
  return parseHeader(rawHeader(header), 1024);
}

describe("parseHeader()", () => {
  it("reads every field of a ustar header", () => {
    assert.deepEqual(
      parse({
        name: "name",
        mode: 0o4755,
        uid: 1000,
        gid: 2097151,
        size: 8589934591,
        mtime: 1700000000,
        type: "4",
        linkName: "target",
        uname: "user",
        gname: "group",
        devMajor: 8,
        devMinor: 17,
        prefix: "pre/fix",
      }),
      {
        name: "pre/fix/name",
        typeFlag: 0x34,
        linkName: "target",
        mode: 0o4755,
        uid: 1000,
        gid: 2097151,
        size: 8589934591,
        mtime: 1700000000,
        uname: "user",
        gname: "group",
        devMajor: 8,
        devMinor: 17,
        atime: undefined,
        ctime: undefined,
        format: "ustar",
        offset: 1024,
      },
    );
  });

  it("takes names that fill their fields, and cuts names at NUL", () => {
    const header = parse({ name: "n".repeat(100), linkName: "l".repeat(100), prefix: "p".repeat(155) });
    assert.equal(header.name, `${"p".repeat(155)}/${"n".repeat(100)}`);
    assert.equal(header.linkName, "l".repeat(100));
    assert.equal(parse({ name: "a\0b" }).name, "a");
  });

  it("keeps bytes that are not UTF-8", () => assert.equal(parse({ name: "\xff\xfe" }).name, "\xff\xfe"));

  it("tells the dialects apart by magic, version and trailer", () => {
    for (const magic of ["v7", "ustar", "gnu", "star"] as const) assert.equal(parse({ magic }).format, magic);
    assert.equal(parse({ magic: "gnu", patches: [[263, "00"]] }).format, "v7");
  });

  it("reads nothing behind the link name of a v7 header", () => {
    const header = parse({ magic: "v7", uname: "junk", devMajor: "junkjunk", prefix: "junk" });
    assert.deepEqual([header.uname, header.devMajor, header.name], ["", 0, "f"]);
  });

  it("ends star's prefix where its times begin", () => {
    const patches = [[345, "p".repeat(131)], [476, "00000000012\x0000000000013\0"]] as const;
    const header = parse({ magic: "star", patches });
    assert.deepEqual([header.name, header.atime, header.ctime], [`${"p".repeat(131)}/f`, 10, 11]);
  });

  it("takes GNU's times for times, not for a prefix", () => {
    const header = parse({ magic: "gnu", patches: [[345, "00000000012\x0000000000013\0"]] });
    assert.deepEqual([header.name, header.atime, header.ctime], ["f", 10, 11]);
  });

  it("takes a GNU header with a prefix in place of times for what its writer meant", () => {
    const header = parse({ magic: "gnu", prefix: "root/.cpanm/build/1395823785.24209/Plack-1.0030/blib" });
    assert.equal(header.name, "root/.cpanm/build/1395823785.24209/Plack-1.0030/blib/f");
    assert.equal(header.atime, undefined);
    assert.equal(parse({ magic: "gnu", prefix: "\xe9t\xe9" }).name, "f");
  });

  it("reads negative and large numbers in base-256", () => {
    const all = 2n ** 96n;
    const header = parse({ mtime: base256(all - 1n, 12), uid: base256(2n ** 32n, 8), size: base256(2n ** 40n, 12) });
    assert.deepEqual([header.mtime, header.uid, header.size], [-1, 2 ** 32, 2 ** 40]);
  });

  it("accepts both the unsigned and the signed checksum", () => {
    for (const checksum of ["unsigned", "signed"] as const) {
      assert.equal(parse({ name: "\xe9", checksum }).name, "\xe9");
    }
  });

  for (
    const [what, header] of [
      ["a wrong checksum", { checksum: { text: "000001\0 " } }],
      ["a checksum that is not a number", { checksum: { text: "abcdef\0 " } }],
      ["a size that is not a number", { size: "junk" }],
      ["a mode that is not a number", { mode: "-1" }],
      ["a uid beyond 2^53 - 1", { uid: base256(2n ** 55n - 1n, 8) }],
      ["a device number that is not a number", { devMajor: "8" + "x".repeat(7) }],
      ["star times that are not numbers", { magic: "star", patches: [[476, "junk"]] }],
    ] as const satisfies readonly (readonly [string, RawHeader])[]
  ) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parse(header), (error) => hasCode(error, "INVALID_ARCHIVE") && error.detail.offset === 1024);
    });
  }

  it("says so when the very first header is none", () => {
    assert.throws(() => parseHeader(new Uint8Array(512).fill(65), 0), /not a tar archive: no valid header at offset 0/);
  });
});
