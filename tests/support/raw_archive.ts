// SPDX-License-Identifier: Apache-2.0
/**
 * Archives made block by block, so that tests can have what no tar program would write.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import fc from "fast-check";

/** A header's fields; what is absent is zero or empty. */
export interface RawHeader {
  readonly name: Uint8Array | string;
  /** The type byte as a character; `\0` for the old regular file. */
  readonly type: string;
  /** The size field, whatever follows. */
  readonly size?: number;
  readonly linkName?: string;
  readonly dialect?: "ustar" | "gnu";
  /** Writes further fields before the checksum is computed. */
  readonly patch?: (block: Buffer) => void;
}

/** One header block with a right checksum. */
export function rawHeader(header: RawHeader): Uint8Array {
  const block = Buffer.alloc(512);
  Buffer.from(header.name).copy(block, 0, 0, 100);
  block.write("0000644\0", 100, "latin1");
  block.write("0000000\0".repeat(2), 108, "latin1");
  block.write(`${octal(header.size ?? 0)}\0`, 124, "latin1");
  block.write(`${octal(0)}\0`, 136, "latin1");
  block.write(header.type, 156, "latin1");
  block.write(header.linkName ?? "", 157, "latin1");
  block.write(header.dialect === "gnu" ? "ustar  \0" : "ustar\0" + "00", 257, "latin1");
  header.patch?.(block);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** The bytes and what fills their last block up; `fill` is the byte that it is filled with. */
export function padded(bytes: Uint8Array, fill = 0): Uint8Array {
  return Buffer.concat([bytes, Buffer.alloc((512 - bytes.length % 512) % 512, fill)]);
}

/** A PAX extended header (`x`, or `g`) with its records. */
export function paxHeader(records: Readonly<Record<string, string>>, type: "x" | "g" = "x"): Uint8Array {
  const body = Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
  const name = type === "g" ? "pax_global_header" : "PaxHeaders.0/x";
  return Buffer.concat([rawHeader({ name, type, size: body.length }), padded(body)]);
}

/** A GNU long name (`L`) or long link (`K`). */
export function longNameHeader(name: Uint8Array, type: "L" | "K" = "L"): Uint8Array {
  const body = Buffer.concat([name, Buffer.alloc(1)]);
  const header = rawHeader({ name: "././@LongLink", type, size: body.length, dialect: "gnu" });
  return Buffer.concat([header, padded(body)]);
}

/** A member of a random archive: its bytes, padding included. */
export interface RawMember {
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** Archives of all that a reader has to take: every type, names of any bytes, sparse files, repeats, odd tails. */
export function rawArchive(): fc.Arbitrary<Uint8Array> {
  return fc.tuple(fc.array(rawMember(), { maxLength: 8 }), rawTail())
    .map(([members, tail]) => Buffer.concat([...members.map((member) => member.bytes), tail]));
}

/** One member of any kind. Names are few, so that they repeat. */
export function rawMember(): fc.Arbitrary<RawMember> {
  return fc.oneof(
    { weight: 4, arbitrary: regularFile() },
    { weight: 2, arbitrary: withoutContent() },
    sparseFile(),
    fc.constant(member("global header", paxHeader({ comment: "x" }, "g"))),
    fc.tuple(rawName(), content()).map(([name, bytes]) => {
      return member("type Z", rawHeader({ name, type: "Z", size: bytes.length }), padded(bytes));
    }),
  );
}

/** What an archive may end with, or not. */
export function rawTail(): fc.Arbitrary<Uint8Array> {
  const marker = Buffer.alloc(1024);
  return fc.oneof(
    fc.constant(marker),
    fc.constant(Buffer.alloc(0)),
    fc.constant(Buffer.alloc(512)),
    fc.constant(Buffer.alloc(10240)),
    fc.uint8Array({ maxLength: 2000 }).map((junk) => Buffer.concat([marker, junk])),
  );
}

function regularFile(): fc.Arbitrary<RawMember> {
  const spelling = fc.constantFrom("plain", "old", "pax", "long", "whiteout");
  return fc.tuple(spelling, rawName(), content(), fc.constantFrom(0, 0x41)).map(([how, name, bytes, fill]) => {
    const size = bytes.length;
    const rest = padded(bytes, fill);
    switch (how) {
      case "old":
        // A slash at the end would make it a directory, which has no content.
        return member(how, rawHeader({ name: Buffer.concat([name, Buffer.from("x")]), type: "\0", size }), rest);
      case "pax":
        return member(
          how,
          paxHeader({ path: "pax/é", "SCHILY.xattr.user.a": "b" }),
          rawHeader({ name, type: "0", size }),
          rest,
        );
      case "long":
        return member(how, longNameHeader(name), rawHeader({ name: "short", type: "0", size, dialect: "gnu" }), rest);
      case "whiteout":
        return member(how, rawHeader({ name: ".wh.a", type: "0", size }), rest);
      default:
        return member(how, rawHeader({ name, type: "0", size }), rest);
    }
  });
}

/** Directories, links, devices: no content, but some have a size. */
function withoutContent(): fc.Arbitrary<RawMember> {
  return fc.tuple(fc.constantFrom("1", "2", "3", "4", "5", "6"), rawName(), fc.constantFrom(0, 3, 4096))
    .map(([type, name, size]) => member(`type ${type}`, rawHeader({ name, type, size, linkName: "a" })));
}

function sparseFile(): fc.Arbitrary<RawMember> {
  return fc.tuple(fc.constantFrom("old GNU", "PAX 0.1", "PAX 1.0"), rawName()).map(([how, name]) => {
    const data = padded(Buffer.alloc(700, "d"));
    switch (how) {
      case "old GNU":
        return member(how, rawHeader({ name, type: "S", size: 700, dialect: "gnu", patch: gnuSparse }), data);
      case "PAX 0.1": {
        const records = { "GNU.sparse.size": "9000", "GNU.sparse.numblocks": "1", "GNU.sparse.map": "4096,700" };
        return member(how, paxHeader(records), rawHeader({ name, type: "0", size: 700 }), data);
      }
      default: {
        const map = padded(Buffer.from("1\n4096\n700\n"));
        const records = { "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9000" };
        return member(how, paxHeader(records), rawHeader({ name, type: "0", size: map.length + 700 }), map, data);
      }
    }
  });
}

function gnuSparse(block: Buffer): void {
  block.write(`${octal(4096)}\0${octal(700)}\0`, 386, "latin1");
  block.write(`${octal(9000)}\0`, 483, "latin1");
}

function rawName(): fc.Arbitrary<Uint8Array> {
  return fc.oneof(
    fc.constantFrom("a", "./a", "a/", "/a", "d/b", "d//b", "<&>\u2028é", "").map((name) => Buffer.from(name)),
    fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  );
}

function content(): fc.Arbitrary<Uint8Array> {
  return fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 500, maxLength: 1100 }));
}

function member(what: string, ...blocks: Uint8Array[]): RawMember {
  return { what, bytes: Buffer.concat(blocks) };
}

function paxRecord(key: string, value: string): Uint8Array {
  const rest = Buffer.from(` ${key}=${value}\n`);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function octal(value: number): string {
  return value.toString(8).padStart(11, "0");
}
