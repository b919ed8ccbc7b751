// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { SEGMENT_BYTES_MAX, SPLIT_HEADER_BYTES_MAX } from "../../src/core/limits.ts";
import type { SplitRecord } from "../../src/tarsplit/record.ts";
import { Splitter } from "../../src/tarsplit/split.ts";
import type { TarEntry } from "../../src/tar/entry.ts";

describe("Splitter", () => {
  it("makes one segment of padding, extension headers and header", () => {
    const { splitter, lines } = collect();
    feed(splitter, { name: "a", content: "foo" });
    splitter.segment(Buffer.from("pad"));
    splitter.segment(Buffer.from("ext"));
    feed(splitter, { name: "b", content: "x" });
    splitter.segment(Buffer.from("end"));
    splitter.end();
    assert.deepEqual(lines, [
      "<a>",
      "a 3 3c3c303000000000",
      "padext<b>",
      "b 1 2310000000000000",
      "end",
    ]);
  });

  it("makes a file record without content of a member without content", () => {
    const { splitter, lines } = collect();
    feed(splitter, { name: "d/", type: "dir" });
    feed(splitter, { name: "empty" });
    feed(splitter, { name: "pax_global_header", type: "global" });
    splitter.end();
    assert.deepEqual(lines, ["<d/>", "d/ 0", "<empty>", "empty 0", "<pax_global_header>", "pax_global_header 0"]);
  });

  it("makes no file record of a name that came before, and keeps its content", () => {
    const { splitter, lines } = collect();
    feed(splitter, { name: "./a", content: "foo" });
    feed(splitter, { name: "a", content: "bar" });
    feed(splitter, { name: "a/", type: "dir" });
    feed(splitter, { name: "/a" });
    splitter.end();
    assert.deepEqual(lines, ["<./a>", "./a 3 3c3c303000000000", "<a>", "bar", "<a/>", "</a>", "/a 0"]);
  });

  const keptCases: readonly Member[] = [
    { name: "sparse", content: "data", sparse: [{ offset: 4096, length: 4 }] },
    { name: "type-Z", content: "data", type: "unknown" },
    { name: "d/.wh.gone", content: "data" },
    { name: ".wh..wh.plnk/1.2", content: "data" },
    { name: "./", content: "data" },
  ];
  for (const member of keptCases) {
    it(`keeps the content of "${member.name}", which no tree gives back`, () => {
      const { splitter, lines } = collect();
      feed(splitter, member);
      splitter.end();
      assert.deepEqual(lines, [`<${member.name}>`, `${member.name} 0`, "data"]);
    });
  }

  it("tells the position of content that is left to the tree", () => {
    const { splitter } = collect();
    splitter.segment(Buffer.from("<a>"));
    splitter.entry(entryOf({ name: "a", content: "foo" }));
    assert.equal(splitter.contentPosition, 1);
    splitter.endEntry();
    assert.equal(splitter.contentPosition, undefined);
    splitter.segment(Buffer.from("<a>"));
    splitter.entry(entryOf({ name: "a", content: "foo" }));
    assert.equal(splitter.contentPosition, undefined);
    splitter.endEntry();
    splitter.segment(Buffer.from("<b>"));
    splitter.entry(entryOf({ name: "b", content: "foo" }));
    assert.equal(splitter.contentPosition, 4);
  });

  it("keeps content in segments of bounded size", () => {
    const { splitter, records } = collect();
    const content = Buffer.alloc(2.5 * SEGMENT_BYTES_MAX, "x");
    splitter.entry(entryOf({ name: "a", type: "unknown", content: "x" }));
    for (let i = 0; i < content.length; i += 100_000) splitter.data(content.subarray(i, i + 100_000));
    splitter.endEntry();
    assert.deepEqual(sizesOf(records), [SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MAX / 2]);
  });

  it("keeps a header in one segment, however long its extension headers are", () => {
    const { splitter, records } = collect();
    for (let i = 0; i < 4; i++) splitter.segment(Buffer.alloc(SEGMENT_BYTES_MAX));
    splitter.entry(entryOf({ name: "a" }));
    assert.deepEqual(sizesOf(records), [4 * SEGMENT_BYTES_MAX]);
  });

  it("writes trailing bytes in pieces and does not gather them all", () => {
    const { splitter, records } = collect();
    const chunk = Buffer.alloc(3 * SEGMENT_BYTES_MAX);
    for (let i = 0; i < 6; i++) splitter.segment(chunk);
    assert.ok(sizesOf(records).reduce((sum, size) => sum + size, 0) > SPLIT_HEADER_BYTES_MAX);
    splitter.segment(Buffer.alloc(5));
    splitter.end();
    assert.deepEqual(sizesOf(records), [...Array(18).fill(SEGMENT_BYTES_MAX), 5]);
  });

  it("keeps no view of what it was given", () => {
    const { splitter, records } = collect();
    const chunk = Buffer.from("<a>");
    splitter.segment(chunk);
    splitter.entry(entryOf({ name: "a" }));
    chunk.fill(0);
    splitter.segment(Buffer.from("next"));
    splitter.end();
    assert.deepEqual(records.map(line), ["<a>", "a 0", "next"]);
  });
});

interface Member {
  readonly name: string;
  readonly type?: TarEntry["type"];
  readonly content?: string;
  readonly sparse?: TarEntry["sparse"];
}

function collect(): { splitter: Splitter; records: SplitRecord[]; lines: string[] } {
  const records: SplitRecord[] = [];
  const lines: string[] = [];
  const splitter = new Splitter((record) => {
    records.push(record);
    lines.push(line(record));
  });
  return { splitter, records, lines };
}

/** A member as the reader tells of it; its header is its name in angle brackets. */
function feed(splitter: Splitter, member: Member): void {
  splitter.segment(Buffer.from(`<${member.name}>`));
  splitter.entry(entryOf(member));
  for (const char of member.content ?? "") splitter.data(Buffer.from(char));
  splitter.endEntry();
}

function line(record: SplitRecord): string {
  if (record.type === "segment") return Buffer.from(record.payload).toString("latin1");
  return [record.name, record.size, ...(record.crc ? [Buffer.from(record.crc).toString("hex")] : [])].join(" ");
}

function sizesOf(records: readonly SplitRecord[]): number[] {
  return records.flatMap((record) => record.type === "segment" ? [record.payload.length] : []);
}

function entryOf(member: Member): TarEntry {
  const size = member.content?.length ?? 0;
  const none = fromText("");
  return {
    name: fromText(member.name),
    type: member.type ?? "file",
    typeFlag: 0x30,
    linkName: none,
    mode: 0o644,
    uid: 0,
    gid: 0,
    uname: none,
    gname: none,
    size,
    headerSize: size,
    storedSize: size,
    mtime: { sec: 0, nsec: 0 },
    atime: undefined,
    ctime: undefined,
    devMajor: 0,
    devMinor: 0,
    xattrs: new Map(),
    pax: new Map(),
    sparse: member.sparse,
    format: "ustar",
    offset: 0,
  };
}
