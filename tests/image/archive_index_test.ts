// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode } from "../../src/core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/core/limits.ts";
import { openForRead } from "../../src/host/files.ts";
import { type ArchiveFiles, indexArchive } from "../../src/image/archive_index.ts";
import { DirectoryFiles, type ImageFiles, readPart } from "../../src/image/image_files.ts";
import { dir, fifo, file, hardlink, layerTar, symlink } from "../../src/testing/layer_builder.ts";
import { scratch } from "../host/scratch.ts";
import { refusal } from "../metadata/store_dir.ts";
import { archive, concat, longMember, paxMember, rawHeader, rawMember } from "../support/tar_builder.ts";

function withIndex(bytes: Uint8Array, act: (files: ArchiveFiles) => void, limits: Partial<Limits> = {}): void {
  using place = scratch();
  const path = join(place.path, "a.tar");
  writeFileSync(path, bytes);
  using archive = openForRead(path);
  act(indexArchive(archive, { path, shownAs: "a.tar" }, { ...DEFAULT_LIMITS, ...limits }));
}

function textOf(files: ImageFiles, name: string): string | undefined {
  const part = files.locate(name);
  return part && Buffer.from(readPart(part, { max: 1000, name })).toString();
}

describe("indexArchive()", () => {
  it("finds what every tar program writes, under the names of every dialect", () => {
    const long = `${"d/".repeat(60)}long`;
    const bytes = concat(
      layerTar([dir("blobs"), file("./blobs/a", "A"), file(`x${long}`, "L"), file("empty")]).slice(0, -1024),
      longMember("L", `gnu/${long}`),
      rawMember({ name: "short", magic: "gnu" }, "G"),
      paxMember([["comment", "x"]], { type: "g" }),
      paxMember([["path", Buffer.from("pax/é").toString("latin1")]]),
      rawMember({ name: "short" }, "P"),
      archive(rawMember({ name: "v7", magic: "v7", type: "\0" }, "V")),
    );
    withIndex(bytes, (files) => {
      const found = ["blobs/a", "/blobs//a", `x${long}`, `gnu/${long}`, "v7", "empty", "short", "blobs", "none"]
        .map((name) => textOf(files, name));
      assert.deepEqual(found, ["A", "A", "L", "G", "V", "", undefined, undefined, undefined]);
      assert.equal(textOf(files, "pax/é"), "P");
    });
  });

  it("follows symlinks and hard links inside the archive, and none outside", () => {
    const members = [
      file("top", "T"),
      symlink("a/b/rel", "../../top"),
      symlink("a/abs", "/top"),
      hardlink("hard", "a/abs"),
      symlink("out", "../../../top"),
      symlink("dangling", "nothing"),
      fifo("pipe"),
    ];
    withIndex(layerTar(members), (files) => {
      for (const name of ["a/b/rel", "a/abs", "hard", "out", "../top"]) assert.equal(textOf(files, name), "T");
      assert.equal(files.locate("dangling"), undefined);
      assert.equal(files.locate("pipe"), undefined);
    });
  });

  it("passes over bodies without reading them", () => {
    using place = scratch();
    const path = join(place.path, "a.tar");
    const size = 7 * 1024 ** 3;
    writeFileSync(path, rawHeader({ name: "large", size }));
    truncateSync(path, 512 + size);
    const end = archive(rawMember({ name: "last" }, "end"));
    using large = openForRead(path);
    const before = performance.now();
    writeFileSync(path, end, { flag: "a" });
    const files = indexArchive(large, { path, shownAs: path }, DEFAULT_LIMITS);
    assert.ok(performance.now() - before < 1000);
    assert.equal(textOf(files, "last"), "end");
    assert.deepEqual(files.locate("large"), { path, offset: 512, length: size });
  });

  it("refuses an archive that is cut short, or takes it up to the end of a member", () => {
    using place = scratch();
    const path = join(place.path, "a.tar");
    const whole = concat(paxMember([["path", "a"]]), rawMember({ name: "short" }, "A".repeat(600)));
    writeFileSync(path, whole);
    for (let length = whole.length - 1; length >= 0; length--) {
      truncateSync(path, length);
      using archive = openForRead(path);
      try {
        const files = indexArchive(archive, { path, shownAs: path }, DEFAULT_LIMITS);
        assert.equal(textOf(files, "a"), "A".repeat(600));
        assert.ok(length >= whole.length - (1024 - 600), String(length));
      } catch (error) {
        assert.ok(hasCode(error, "INVALID_ARCHIVE"), String(error));
        assert.equal(error.detail.stage, "source");
      }
    }
  });

  for (
    const [what, bytes, ...parts] of [
      ["a wrong checksum", archive(rawMember({ name: "a" }), rawHeader({ checksum: { text: "0" } })), "checksum"],
      ["members behind a single block of NULs", concat(new Uint8Array(512), rawMember({})), "NULs"],
      ["a sparse member", archive(rawHeader({ type: "S", magic: "gnu" })), "sparse"],
      ["a sparse member of PAX", archive(paxMember([["GNU.sparse.major", "1"]]), rawMember({})), "sparse"],
      ["two sizes", archive(paxMember([["size", "1"]]), rawMember({}, "abc")), "size"],
      ["a negative size", archive(rawHeader({ size: "-0000000001" })), "size"],
    ] as const
  ) {
    it(`refuses ${what}`, () => {
      assert.throws(() => withIndex(bytes, () => {}), refusal("INVALID_ARCHIVE", "a.tar", ...parts));
    });
  }

  it("refuses more than the limits allow", () => {
    const two = layerTar([file("a"), file("b")]);
    withIndex(two, () => {}, { entriesMax: 2 });
    assert.throws(() => withIndex(two, () => {}, { entriesMax: 1 }), refusal("LIMIT_EXCEEDED", "entriesMax"));
    const pax = archive(paxMember([["comment", "x".repeat(100)]]), rawMember({}));
    assert.throws(() => withIndex(pax, () => {}, { extensionBytesMax: 100 }), refusal("LIMIT_EXCEEDED"));
    const row = archive(paxMember([]), paxMember([]), rawMember({}));
    assert.throws(() => withIndex(row, () => {}, { extensionsInRowMax: 1 }), refusal("LIMIT_EXCEEDED"));
  });
});

describe("DirectoryFiles", () => {
  it("finds files, follows links inside, and refuses what is none", () => {
    using place = scratch();
    writeFileSync(join(place.path, "a"), "A");
    symlinkSync("a", join(place.path, "link"));
    symlinkSync("/etc/hostname", join(place.path, "out"));
    symlinkSync("nothing", join(place.path, "dangling"));
    symlinkSync(".", join(place.path, "here"));
    const files = new DirectoryFiles(place.path);
    for (const name of ["a", "link", "/a", "../../a", "here/a"]) assert.equal(textOf(files, name), "A");
    for (const name of ["none", "dangling", "a/b"]) assert.equal(files.locate(name), undefined);
    for (const name of ["here", "."]) assert.throws(() => files.locate(name), refusal("INVALID_ARCHIVE", "not a file"));
    assert.throws(() => files.locate("out"), refusal("INVALID_ARCHIVE", "leads out"));
    assert.throws(() => files.locate("a\0b"), refusal("INVALID_ARCHIVE", "NUL"));
  });
});

describe("readPart()", () => {
  it("reads at most what it may", () => {
    using place = scratch();
    const path = join(place.path, "a");
    writeFileSync(path, "0123456789");
    const name = "a";
    assert.deepEqual(readPart({ path, offset: 2, length: 3 }, { max: 3, name }), new Uint8Array(Buffer.from("234")));
    assert.throws(() => readPart({ path, offset: 2, length: 4 }, { max: 3, name }), refusal("LIMIT_EXCEEDED"));
    assert.equal(readPart({ path, offset: 8, length: 9 }, { max: 9, name }).length, 2);
  });
});
