// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { hasCode, isStrataError } from "../../src/core/errors.ts";
import type { Limits } from "../../src/core/limits.ts";
import { TarReader } from "../../src/tar/reader.ts";
import {
  archive,
  base256,
  concat,
  END_MARKER,
  latin1,
  longMember,
  paxMember,
  type RawHeader,
  rawHeader,
  rawMember,
} from "../support/tar_builder.ts";
import { bytesOf, readMembers, readTar, type TarEvent } from "../support/tar_reading.ts";

/** An archive with one of everything. */
const GOOD = archive(
  rawMember({ name: "pax_global_header", type: "g" }, "13 comment=x\n"),
  rawMember({ name: "d/", type: "5" }),
  rawMember({ name: "d/f" }, "content"),
  paxMember([["path", "d/\xff"], ["mtime", "1.5"], ["SCHILY.xattr.user.a", "\0"]]),
  rawMember({ name: "d/_" }, "x".repeat(512)),
  longMember("L", "d/" + "l".repeat(150)),
  longMember("K", "t".repeat(150)),
  rawMember({ name: "short", type: "2", linkName: "short", magic: "gnu" }),
  paxMember([["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "9"], [
    "GNU.sparse.name",
    "s",
  ]]),
  rawMember({ name: "GNUSparse" }, "1\n2\n3\n" + "\0".repeat(506) + "xyz"),
  rawMember({ name: "v7", magic: "v7" }, "abc"),
);

describe("TarReader", () => {
  it("tells of a member in order: header, entry, payload, end, padding", () => {
    const bytes = archive(rawMember({ name: "a" }, "foo"), rawMember({ name: "b/", type: "5" }));
    const told = readTar(bytes).events.map((event) => {
      if (event.kind === "entry") return event.entry.name;
      return "bytes" in event ? `${event.kind} ${event.bytes.length}` : event.kind;
    });
    assert.deepEqual(told, [
      "segment 512",
      "a",
      "data 3",
      "endEntry",
      "segment 1021",
      "b/",
      "endEntry",
      "segment 1024",
      "end",
    ]);
  });

  it("gives the padding of a global header's records behind its entry", () => {
    const bytes = archive(rawMember({ name: "g", type: "g" }, "13 comment=x\n"));
    const lengths = readTar(bytes).events.map((event) => "bytes" in event ? event.bytes.length : event.kind);
    assert.deepEqual(lengths, [525, "entry", "endEntry", 1523, "end"]);
  });

  it("passes payload on without copying it", () => {
    const bytes = archive(rawMember({ name: "a" }, "foo"));
    const reader = new TarReader({
      segment: (piece) => assert.equal(piece.buffer, bytes.buffer),
      data: (piece) => assert.equal(piece.buffer, bytes.buffer),
      entry() {},
      endEntry() {},
      end() {},
    });
    reader.push(bytes.subarray(0, 200));
    reader.push(bytes.subarray(200));
    reader.end();
    assert.equal(reader.offset, bytes.length);
  });

  it("throws the same again after a failure, and refuses bytes after the end", () => {
    const reader = new TarReader({ segment() {}, data() {}, entry() {}, endEntry() {}, end() {} });
    let first: unknown;
    assert.throws(() => reader.push(new Uint8Array(512).fill(1)), (error) => (first = error) === error);
    assert.throws(() => reader.end(), (error) => error === first);
    const ended = new TarReader({ segment() {}, data() {}, entry() {}, endEntry() {}, end() {} });
    ended.end();
    assert.throws(() => ended.push(END_MARKER), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });

  it("lets a handler's error through", () => {
    const reader = new TarReader({
      segment() {},
      data() {},
      entry() {
        throw new RangeError("no");
      },
      endEntry() {},
      end() {},
    });
    assert.throws(() => reader.push(GOOD), RangeError);
  });
});

describe("TarReader, however the archive is cut", () => {
  const whole = readTar(GOOD);

  it("tells the same, with every byte once and in order", () => {
    assert.equal(whole.error, undefined);
    assert.deepEqual(bytesOf(whole.events), GOOD);
    for (const length of [1, 2, 7, 511, 512, 513]) {
      assert.deepEqual(readTar(GOOD, { chunks: [length] }).events, whole.events, `chunks of ${length}`);
    }
    const cuts = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 12 });
    fc.assert(fc.property(cuts, (chunks) => assert.deepEqual(readTar(GOOD, { chunks }).events, whole.events)), {
      numRuns: 60,
    });
  });

  it("stops at every byte with an error, or where an archive may end", () => {
    const paddings = endingsOf(whole.events);
    for (let length = 0; length < GOOD.length; length++) {
      const { error, events } = readTar(GOOD.subarray(0, length));
      assert.deepEqual(bytesOf(events), GOOD.subarray(0, length));
      assert.equal(error === undefined, paddings.has(length), `cut at ${length}: ${error}`);
      if (error !== undefined) assert.ok(hasCode(error, "INVALID_ARCHIVE") && error.detail.stage === "tar");
    }
  });

  it("answers any flipped bit with members or an error of its own", () => {
    fc.assert(
      fc.property(fc.nat(GOOD.length - 1), fc.nat(7), (at, bit) => {
        const bytes = GOOD.slice();
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const { error, events } = readTar(bytes, { chunks: [1000] });
        assert.ok(error === undefined || isStrataError(error), String(error));
        const told = bytesOf(events);
        assert.deepEqual(told, bytes.subarray(0, told.length));
        if (error === undefined) assert.equal(told.length, bytes.length);
      }),
      { numRuns: 1500 },
    );
  });
});

describe("TarReader at the end of an archive", () => {
  const foo = rawMember({ name: "foo" }, "x".repeat(600));
  for (
    const [what, bytes] of [
      ["nothing at all", new Uint8Array(0)],
      ["one block of NULs alone", new Uint8Array(512)],
      ["no end marker", foo],
      ["one block of NULs", concat(foo, new Uint8Array(512))],
      ["junk behind the end marker", concat(foo, END_MARKER, latin1("trailing"))],
      ["another archive behind the end marker", concat(foo, END_MARKER, foo, END_MARKER)],
      ["no padding", foo.subarray(0, 1112)],
      ["part of the padding", foo.subarray(0, 1122)],
      ["a dangling PAX header", concat(foo, paxMember([["path", "a"]]), END_MARKER)],
      ["a dangling long name without end marker", concat(foo, longMember("L", "a"))],
    ] as const
  ) {
    it(`accepts ${what}`, () => {
      const { error, events } = readTar(bytes);
      assert.equal(error, undefined);
      assert.deepEqual(bytesOf(events), bytes);
      assert.equal(events.at(-1)?.kind, "end");
    });
  }

  for (
    const [what, bytes, message] of [
      ["less than a header", new Uint8Array(100), /not a tar archive: no valid header at offset 0/],
      ["text", new Uint8Array(1024).fill(65), /not a tar archive: no valid header at offset 0/],
      ["half a header", concat(foo, foo.subarray(0, 100)), /ends inside the header \(byte 1636\)/],
      ["half a payload", foo.subarray(0, 812), /ends inside the payload \(byte 812, entry "foo"\)/],
      ["half an extension", paxMember([["path", "a"]]).subarray(0, 515), /ends inside the extension/],
      ["half an end marker", concat(foo, new Uint8Array(612)), /ends inside the end marker/],
      ["a block of NULs in between", concat(foo, new Uint8Array(512), foo), /single block of NULs/],
    ] as const
  ) {
    it(`refuses ${what}`, () => {
      const { error } = readTar(bytes);
      assert.ok(hasCode(error, "INVALID_ARCHIVE"));
      assert.match(error.message, message);
    });
  }
});

describe("TarReader on types", () => {
  it("names the types that it knows", () => {
    const types = { "0": "file", "1": "hardlink", "2": "symlink", "3": "char", "4": "block", "5": "dir", "6": "fifo" };
    for (const [type, name] of Object.entries({ ...types, "7": "unknown", "Z": "unknown", "\0": "file" })) {
      assert.equal(readMembers(archive(rawMember({ type })))[0]?.entry.type, name);
    }
  });

  it("takes an old directory for one by its slash, also when the slash is in a long name", () => {
    const old = rawMember({ name: "d/", type: "\0", size: 4096 });
    assert.equal(readMembers(archive(old))[0]?.entry.type, "dir");
    const long = archive(longMember("L", "d/"), rawMember({ name: "d", type: "\0" }));
    assert.equal(readMembers(long)[0]?.entry.type, "dir");
    assert.equal(readMembers(archive(rawMember({ name: "d/", type: "0" })))[0]?.entry.type, "file");
  });

  it("reads no payload for types 1 to 6, whatever their size says", () => {
    for (const type of ["1", "2", "3", "4", "5", "6"]) {
      const [member, next] = readMembers(archive(rawHeader({ type, size: 3 }), rawMember({ name: "next" })));
      assert.deepEqual([member?.entry.size, member?.entry.headerSize], [0, 3]);
      assert.equal(next?.entry.name, "next");
    }
  });

  it("reads the payload of types that it does not know", () => {
    const [member] = readMembers(archive(rawMember({ type: "Z" }, "foo")));
    assert.equal(member?.entry.size, 3);
    assert.equal(member?.entry.typeFlag, 0x5a);
  });

  it("gives link targets to links only", () => {
    for (const [type, target] of [["0", ""], ["1", "t"], ["2", "t"], ["5", ""]] as const) {
      assert.equal(readMembers(archive(rawMember({ type, linkName: "t" })))[0]?.entry.linkName, target);
    }
  });
});

describe("TarReader on extension headers", () => {
  it("applies PAX records over the header", () => {
    const records: [string, string][] = [
      ["path", "p"],
      ["linkpath", "l"],
      ["uid", "4294967294"],
      ["gid", "-1"],
      ["uname", "u"],
      ["gname", "g"],
      ["mtime", "-1.25"],
      ["atime", "2.5"],
      ["ctime", "3"],
      ["comment", "c"],
    ];
    const { entry } = readMembers(archive(paxMember(records), rawMember({ type: "2", linkName: "t", mtime: 7 })))[0]!;
    assert.deepEqual(
      [entry.name, entry.linkName, entry.uid, entry.gid, entry.uname, entry.gname],
      ["p", "l", 4294967294, -1, "u", "g"],
    );
    assert.deepEqual(entry.mtime, { sec: -2, nsec: 750_000_000 });
    assert.deepEqual([entry.atime, entry.ctime], [{ sec: 2, nsec: 500_000_000 }, { sec: 3, nsec: 0 }]);
    assert.equal(entry.format, "pax");
    assert.deepEqual([...entry.pax], records);
  });

  it("keeps the header's value where a record is empty", () => {
    const empty: [string, string][] = ["path", "uid", "mtime", "size", "uname"].map((key) => [key, ""]);
    const header: RawHeader = { name: "n", uid: 5, mtime: 6, uname: "u" };
    const { entry } = readMembers(archive(paxMember(empty), rawMember(header, "foo")))[0]!;
    assert.deepEqual([entry.name, entry.uid, entry.mtime.sec, entry.size, entry.uname], ["n", 5, 6, 3, "u"]);
  });

  it("applies them to the next member only", () => {
    const names = readMembers(archive(paxMember([["path", "p"]]), rawMember({}), rawMember({ name: "n" })));
    assert.deepEqual(names.map(({ entry }) => entry.name), ["p", "n"]);
  });

  it("takes the last of several PAX headers as a whole, and the last of several long names", () => {
    const pax = [paxMember([["path", "a"], ["uid", "7"]]), paxMember([["path", "b"]])];
    const { entry } = readMembers(archive(...pax, rawMember({})))[0]!;
    assert.deepEqual([entry.name, entry.uid], ["b", 0]);
    const long = readMembers(archive(longMember("L", "a"), longMember("L", "b"), rawMember({})));
    assert.equal(long[0]?.entry.name, "b");
  });

  it("prefers GNU's long names to PAX, in either order", () => {
    const pax = paxMember([["path", "p"], ["linkpath", "pl"]]);
    const gnu = concat(longMember("L", "l"), longMember("K", "k"));
    for (const pieces of [[pax, gnu], [gnu, pax]]) {
      const { entry } = readMembers(archive(...pieces, rawMember({ type: "1", linkName: "t" })))[0]!;
      assert.deepEqual([entry.name, entry.linkName], ["l", "k"]);
    }
  });

  it("reads an extension's body by the extension's own size", () => {
    const bytes = archive(paxMember([["size", "3"]]), longMember("L", "long"), rawMember({ size: 0 }, "foo"));
    const [member, ...others] = readMembers(bytes);
    assert.deepEqual([member?.entry.name, member?.payload], ["long", latin1("foo")]);
    assert.equal(others.length, 0);
  });

  it("makes a global header a member without effect on others", () => {
    const g = rawMember({ name: "g", type: "g" }, concat(latin1("10 path=p\n"), latin1("10 size=9\n")));
    const members = readMembers(archive(g, rawMember({ name: "f" }, "foo"), rawMember({ name: "h", type: "g" })));
    assert.deepEqual(members.map(({ entry }) => [entry.name, entry.type, entry.size, entry.headerSize]), [
      ["p", "global", 0, 0],
      ["f", "file", 3, 3],
      ["h", "global", 0, 0],
    ]);
  });

  it("lets a PAX size govern the payload when the header has none, or the same", () => {
    for (const size of [0, 3]) {
      const bytes = archive(paxMember([["size", "3"]]), rawMember({ size }, "foo"));
      assert.deepEqual(readMembers(bytes)[0]?.payload, latin1("foo"));
    }
  });
});

describe("TarReader refuses", () => {
  for (
    const [what, bytes] of [
      ["a PAX size that contradicts the header's", archive(paxMember([["size", "2"]]), rawMember({}, "foo"))],
      ["a negative size", archive(rawMember({ size: base256(2n ** 96n - 3n, 12) }))],
      ["a negative PAX size", archive(paxMember([["size", "-3"]]), rawMember({}))],
      ["a size beyond 2^53 - 1", archive(rawMember({ size: base256(2n ** 53n, 12) }))],
      ["a PAX size beyond 2^53 - 1", archive(paxMember([["size", "9007199254740992"]]), rawMember({}))],
      ["a PAX size that is not decimal", archive(paxMember([["size", "0x3"]]), rawMember({}))],
      ["a PAX uid that is not decimal", archive(paxMember([["uid", "1e3"]]), rawMember({}))],
      ["a PAX mtime that is not a time", archive(paxMember([["mtime", "yesterday"]]), rawMember({}))],
      ["a PAX path with a NUL", archive(paxMember([["path", "a\0b"]]), rawMember({}))],
      ["a negative extension size", archive(rawHeader({ type: "x", size: base256(2n ** 96n - 3n, 12) }))],
      [
        "a global header behind a PAX header",
        archive(paxMember([["path", "p"]]), rawMember({ type: "g" }), rawMember({})),
      ],
      ["a bad checksum further on", archive(rawMember({}), rawHeader({ checksum: { text: "000000\0 " } }))],
    ] as const
  ) {
    it(what, () => {
      const { error } = readTar(bytes);
      assert.ok(hasCode(error, "INVALID_ARCHIVE"), String(error));
      assert.match(error.message, /byte \d+/);
    });
  }
});

describe("TarReader's limits hold at the limit and fail one above", () => {
  const cases: readonly (readonly [keyof Limits, number, Uint8Array])[] = [
    ["entriesMax", 2, archive(rawMember({}), rawMember({ name: "g", type: "g" }))],
    ["unpackedBytesMax", 7, archive(rawMember({}, "foo"), rawMember({}, "bars"))],
    ["extensionBytesMax", 9, archive(paxMember([["path", "p"]]), rawMember({}))],
    ["extensionsInRowMax", 3, archive(longMember("K", "k"), longMember("L", "l"), paxMember([]), rawMember({}))],
    ["trailingBytesMax", 8, concat(END_MARKER, latin1("trailing"))],
    ["xattrsMax", 1, archive(paxMember([["SCHILY.xattr.a", "1"]]), rawMember({}))],
    ["xattrBytesMax", 4, archive(paxMember([["SCHILY.xattr.a", "1234"]]), rawMember({}))],
  ];
  for (const [limit, max, bytes] of cases) {
    it(limit, () => {
      assert.equal(readTar(bytes, { limits: { [limit]: max } }).error, undefined);
      const { error } = readTar(bytes, { limits: { [limit]: max - 1 } });
      assert.ok(hasCode(error, "LIMIT_EXCEEDED"), String(error));
      assert.deepEqual([error.detail.limit, error.detail.max], [limit, max - 1]);
    });
  }

  it("counts holes as unpacked bytes", () => {
    const sparse: [string, string][] = [["GNU.sparse.size", "1000"], ["GNU.sparse.numblocks", "0"], [
      "GNU.sparse.map",
      "",
    ]];
    const bytes = archive(paxMember(sparse), rawMember({}));
    assert.equal(readTar(bytes, { limits: { unpackedBytesMax: 1000 } }).error, undefined);
    assert.ok(hasCode(readTar(bytes, { limits: { unpackedBytesMax: 999 } }).error, "LIMIT_EXCEEDED"));
  });

  it("refuses an extension that claims gigabytes before it reads them", () => {
    const { error } = readTar(rawHeader({ type: "x", size: 2 ** 32 }));
    assert.ok(hasCode(error, "LIMIT_EXCEEDED"));
  });
});

/** Where an archive may stop: at each block boundary between members, and anywhere in padding. */
function endingsOf(events: readonly TarEvent[]): Set<number> {
  const endings = new Set<number>([0, GOOD.length - 512]);
  let at = 0;
  const note = (from: number, to: number): void => {
    for (let i = from; i <= to; i++) endings.add(i);
  };
  for (const [i, event] of events.entries()) {
    if (event.kind === "endEntry") note(at, Math.ceil(at / 512) * 512);
    if ("bytes" in event) {
      if (event.kind === "segment") noteExtensions(event.bytes, at, { note, isFirst: i === 0 });
      at += event.bytes.length;
    }
  }
  return endings;
}

/** Extension headers inside a segment are followed by padding, too. */
function noteExtensions(
  bytes: Uint8Array,
  start: number,
  { note, isFirst }: { note: (from: number, to: number) => void; isFirst: boolean },
): void {
  if (isFirst) return; // the global header, whose padding is behind its entry
  for (let at = (512 - (start % 512)) % 512; at + 512 < bytes.length; at += 512) {
    if (!"xLK".includes(String.fromCharCode(bytes[at + 156] ?? 0))) continue;
    const size = parseInt(String.fromCharCode(...bytes.subarray(at + 124, at + 135)), 8);
    const end = start + at + 512 + size;
    note(end, Math.ceil(end / 512) * 512);
    at += Math.ceil(size / 512) * 512;
  }
}
