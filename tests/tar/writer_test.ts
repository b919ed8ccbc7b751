// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { type ByteString, fromBytes, fromText } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import type { TarMember } from "../../src/tar/entry.ts";
import { TarWriter } from "../../src/tar/writer.ts";
import { concat, END_MARKER, latin1, rawHeader } from "../support/tar_builder.ts";
import { readMembers } from "../support/tar_reading.ts";

const FILE: TarMember = { name: fromText("f"), type: "file", mode: 0o644, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } };

function write(...members: readonly (readonly [TarMember, Uint8Array?])[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  const writer = new TarWriter((bytes) => pieces.push(bytes));
  for (const [member, content] of members) {
    writer.entry(member);
    if (content !== undefined) writer.data(content);
  }
  writer.end();
  return concat(...pieces);
}

/** The blocks before the end marker, as the texts of their fields. */
function headersOf(bytes: Uint8Array): { name: string; type: string; prefix: string; fields: string }[] {
  const headers = [];
  for (let at = 0; at < bytes.length - 1024; at += 512) {
    const text = String.fromCharCode(...bytes.subarray(at, at + 512));
    if (text.slice(257, 262) !== "ustar") continue;
    const name = text.slice(0, 100).replaceAll("\0", "");
    headers.push({
      name,
      type: text[156] ?? "",
      prefix: text.slice(345, 500).replaceAll("\0", ""),
      fields: text.slice(100, 148),
    });
  }
  return headers;
}

describe("TarWriter", () => {
  it("writes a plain ustar header where it can, and ends with 1024 NULs", () => {
    const member: TarMember = {
      ...FILE,
      name: fromText("dir/f"),
      mode: 0o4755,
      uid: 2097151,
      gid: 1000,
      size: 3,
      mtime: { sec: 8589934591, nsec: 0 },
    };
    const expected = rawHeader({
      name: "dir/f",
      mode: 0o4755,
      uid: 2097151,
      gid: 1000,
      size: 3,
      mtime: 8589934591,
      devMajor: 0,
      devMinor: 0,
    });
    assert.deepEqual(write([member, latin1("foo")]), concat(expected, latin1("foo"), new Uint8Array(509), END_MARKER));
  });

  it("writes links, devices and directories", () => {
    const zeros = { devMajor: 0, devMinor: 0 };
    const link = { ...FILE, type: "symlink", linkName: fromText("target") } as const;
    assert.deepEqual(write([link]).subarray(0, 512), rawHeader({ type: "2", linkName: "target", ...zeros }));
    const device = { ...FILE, type: "char", devMajor: 8, devMinor: 1048575 } as const;
    assert.deepEqual(write([device]).subarray(0, 512), rawHeader({ type: "3", devMajor: 8, devMinor: 1048575 }));
    for (const name of ["d", "d/"]) {
      const dir = { ...FILE, name: fromText(name), type: "dir" } as const;
      assert.deepEqual(write([dir]).subarray(0, 512), rawHeader({ name: "d/", type: "5", ...zeros }));
    }
  });

  it("splits a long name at the last slash that fits", () => {
    const dir = "d".repeat(60);
    const [header] = headersOf(write([{ ...FILE, name: fromText(`${dir}/${dir}/${"f".repeat(100)}`) }]));
    assert.deepEqual([header?.prefix, header?.name], [`${dir}/${dir}`, "f".repeat(100)]);
    const folder = `${"p".repeat(155)}/${"n".repeat(99)}`;
    const [split] = headersOf(write([{ ...FILE, type: "dir", name: fromText(folder) }]));
    assert.deepEqual([split?.prefix, split?.name], ["p".repeat(155), `${"n".repeat(99)}/`]);
  });

  it("turns to PAX with sorted records for what ustar cannot say", () => {
    const name = fromBytes(latin1("dir/\xff\xe9"));
    const xattrs = new Map([[fromText("user.b"), latin1("\0\n=")], [fromText("security.capability"), latin1("")]]);
    const bytes = write([{ ...FILE, name, uid: 2097152, mtime: { sec: -1, nsec: 500_000_000 }, xattrs }]);
    const body = "37 SCHILY.xattr.security.capability=\n27 SCHILY.xattr.user.b=\0\n=\n14 mtime=-0.5\n" +
      "15 path=dir/\xff\xe9\n15 uid=2097152\n";
    assert.equal(String.fromCharCode(...bytes.subarray(512, 512 + body.length)), body);
    const [extension, main] = headersOf(bytes);
    assert.deepEqual([extension?.name, extension?.type], ["dir/PaxHeaders.0", "x"]);
    assert.deepEqual([main?.name, main?.type], ["dir/", "0"]);
    assert.equal(main?.fields.slice(8, 16), "0000000\0");
    assert.equal(main?.fields.slice(36), "00000000000\0");
  });

  it("names the extension header after the member", () => {
    const mtime = { sec: 0, nsec: 1 };
    const named = (name: string, type: "file" | "dir" = "file"): string | undefined =>
      headersOf(write([{ ...FILE, name: fromText(name), type, mtime }]))[0]?.name;
    assert.equal(named("f"), "PaxHeaders.0/f");
    assert.equal(named("a/b/f"), "a/b/PaxHeaders.0/f");
    assert.equal(named("a/b", "dir"), "a/b/PaxHeaders.0");
    assert.equal(named("a/".repeat(60) + "f"), "a/".repeat(50).slice(0, -1));
  });

  it("puts a name in the records, not in a prefix, once there are records", () => {
    const name = fromText(`${"d".repeat(60)}/${"f".repeat(60)}`);
    const [member] = readMembers(write([{ ...FILE, name, mtime: { sec: 0, nsec: 1 } }]));
    assert.equal(member?.entry.pax.get(fromText("path")), name);
    assert.equal(headersOf(write([{ ...FILE, name, mtime: { sec: 0, nsec: 1 } }]))[1]?.prefix, "");
  });

  it("does not leave a slash where it cuts a file's name", () => {
    const name = fromText(`${"d".repeat(99)}/${"f".repeat(101)}`);
    const [, main] = headersOf(write([{ ...FILE, name }]));
    assert.equal(main?.name, "d".repeat(99));
  });

  it("passes content on as it comes", () => {
    const content = latin1("foo");
    const pieces: Uint8Array[] = [];
    const writer = new TarWriter((bytes) => pieces.push(bytes));
    writer.entry({ ...FILE, size: 3 });
    writer.data(content);
    assert.equal(pieces[1], content);
  });

  it("gives the reader back what it was given", () => {
    fc.assert(
      fc.property(fc.array(memberArbitrary(), { maxLength: 5 }), (members) => {
        const read = readMembers(write(...members));
        assert.deepEqual(
          read.map(({ entry, payload }) => [
            entry.name,
            entry.type,
            entry.linkName,
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime,
            entry.devMajor,
            entry.devMinor,
            new Map(entry.xattrs),
            payload,
          ]),
          members.map(([member, content]) => [
            member.type === "dir" ? `${member.name}/` : member.name,
            member.type,
            member.linkName ?? "",
            member.mode,
            member.uid,
            member.gid,
            member.mtime,
            member.devMajor,
            member.devMinor,
            member.xattrs,
            content,
          ]),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe("TarWriter refuses", () => {
  const xattr = (name: string): TarMember => ({ ...FILE, xattrs: new Map([[fromText(name), latin1("v")]]) });
  for (
    const [what, member] of [
      ["an empty name", { ...FILE, name: fromText("") }],
      ["a name with a NUL", { ...FILE, name: fromText("a\0b") }],
      ["a file whose name ends in a slash", { ...FILE, name: fromText("a/") }],
      ["a link without a target", { ...FILE, type: "symlink" }],
      ["a file with a target", { ...FILE, linkName: fromText("t") }],
      ["a directory with content", { ...FILE, type: "dir", size: 1 }],
      ["a negative uid", { ...FILE, uid: -1 }],
      ["a size that is not whole", { ...FILE, size: 1.5 }],
      ["a mode that no field holds", { ...FILE, mode: 2097152 }],
      ["device numbers that no field holds", { ...FILE, type: "char", devMinor: 2097152 }],
      ["nanoseconds out of range", { ...FILE, mtime: { sec: 0, nsec: 1e9 } }],
      ["an attribute with an equals sign", xattr("user.a=b")],
      ["an attribute without a name", xattr("")],
    ] as const satisfies readonly (readonly [string, TarMember])[]
  ) {
    it(what, () => assert.throws(() => write([member]), (error) => hasCode(error, "INVALID_ARGUMENT")));
  }

  it("content that is not as long as the size", () => {
    const member = { ...FILE, size: 3 };
    assert.throws(() => write([member, latin1("fo")]), /"f" lacks 1 bytes/);
    assert.throws(() => write([member, latin1("food")]), /"f" has 1 bytes more/);
    assert.throws(() => write([member], [FILE]), /"f" lacks 3 bytes/);
  });

  it("to go on after the end", () => {
    const writer = new TarWriter(() => {});
    writer.end();
    assert.throws(() => writer.entry(FILE), /the archive has ended/);
    assert.throws(() => writer.end(), /the archive has ended/);
  });

  it("records longer than readers accept", () => {
    const xattrs = new Map(Array.from({ length: 17 }, (_, i) => [fromText(`user.${i}`), new Uint8Array(65536)]));
    assert.throws(() => write([{ ...FILE, xattrs }]), (error) => hasCode(error, "LIMIT_EXCEEDED"));
  });
});

function memberArbitrary(): fc.Arbitrary<[TarMember, Uint8Array]> {
  const text = (maxLength: number): fc.Arbitrary<ByteString> =>
    fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength }).map(fromBytes),
      fc.array(fc.constantFrom("a", "/", "é", "_"), { minLength: 1, maxLength }).map((chars) =>
        fromText(chars.join(""))
      ),
    ).filter((name) => !name.includes("\0") && !name.endsWith("/"));
  const id = fc.oneof(fc.nat(70000), fc.constantFrom(2097151, 2097152, 2 ** 32 - 2));
  const sec = fc.oneof(
    fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    fc.constantFrom(-1, 0, 8589934591, 8589934592, 2 ** 53 - 1, 1 - 2 ** 53),
  );
  return fc.record({
    name: text(300),
    type: fc.constantFrom("file", "dir", "symlink", "hardlink", "char", "block", "fifo"),
    target: text(200),
    mode: fc.nat(0o7777),
    uid: id,
    gid: id,
    sec,
    nsec: fc.oneof(fc.constant(0), fc.nat(999_999_999)),
    dev: fc.nat(2097151),
    xattrs: fc.array(
      fc.tuple(text(40).filter((name) => !name.includes("=")), fc.uint8Array({ maxLength: 50 })),
      { maxLength: 3 },
    ).map((list) => new Map(list)),
    content: fc.uint8Array({ maxLength: 1100 }),
  }).map(({ target, sec, nsec, dev, content, ...rest }) => {
    const isLink = rest.type === "symlink" || rest.type === "hardlink";
    const payload = rest.type === "file" ? content : new Uint8Array(0);
    const member: TarMember = {
      ...rest,
      ...(isLink ? { linkName: target } : {}),
      size: payload.length,
      mtime: { sec, nsec: Math.abs(sec) === 2 ** 53 - 1 ? 0 : nsec },
      devMajor: dev,
      devMinor: dev,
    };
    return [member, payload];
  });
}
