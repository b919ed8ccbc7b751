// SPDX-License-Identifier: Apache-2.0
/**
 * Builds archives by hand, as odd as a test wants them. Texts are latin1: one byte a char.
 *
 * @module
 */

/** A header block's fields. A number becomes octal digits and a NUL; a text or bytes stand as they are. */
export interface RawHeader {
  name?: string;
  mode?: number | string;
  uid?: number | string;
  gid?: number | string;
  size?: number | string;
  mtime?: number | string;
  /** One char; `"0"` when absent. */
  type?: string;
  linkName?: string;
  uname?: string;
  gname?: string;
  devMajor?: number | string;
  devMinor?: number | string;
  prefix?: string;
  /** `ustar` when absent. */
  magic?: "v7" | "ustar" | "gnu" | "star";
  /** Texts put at offsets after all else but the checksum. */
  patches?: readonly (readonly [offset: number, text: string])[];
  /** `unsigned` when absent; a text stands as it is. */
  checksum?: "unsigned" | "signed" | { text: string };
}

const MAGIC = { v7: "", ustar: "ustar\x0000", gnu: "ustar  \0", star: "ustar\x0000" } as const;

/** One header block. */
export function rawHeader(header: RawHeader): Uint8Array {
  const block = new Uint8Array(512);
  put(block, 0, header.name ?? "f");
  put(block, 100, field(header.mode ?? 0o644, 8));
  put(block, 108, field(header.uid ?? 0, 8));
  put(block, 116, field(header.gid ?? 0, 8));
  put(block, 124, field(header.size ?? 0, 12));
  put(block, 136, field(header.mtime ?? 0, 12));
  put(block, 156, header.type ?? "0");
  put(block, 157, header.linkName ?? "");
  put(block, 257, MAGIC[header.magic ?? "ustar"]);
  put(block, 265, header.uname ?? "");
  put(block, 297, header.gname ?? "");
  put(block, 329, header.devMajor === undefined ? "" : field(header.devMajor, 8));
  put(block, 337, header.devMinor === undefined ? "" : field(header.devMinor, 8));
  put(block, 345, header.prefix ?? "");
  if (header.magic === "star") put(block, 508, "tar\0");
  for (const [offset, text] of header.patches ?? []) put(block, offset, text);
  put(block, 148, checksum(block, header.checksum ?? "unsigned"));
  return block;
}

/** A member: its header, with the size of the content unless the header gives one, the content and its padding. */
export function rawMember(header: RawHeader, content: string | Uint8Array = ""): Uint8Array {
  const bytes = typeof content === "string" ? latin1(content) : content;
  return concat(rawHeader({ size: bytes.length, ...header }), padded(bytes));
}

/** A PAX extension header with well-formed records, in the order given. */
export function paxMember(
  records: readonly (readonly [key: string, value: string])[],
  header: RawHeader = {},
): Uint8Array {
  const body = records.map(([key, value]) => paxRecord(key, value)).join("");
  return rawMember({ name: "PaxHeaders.0/f", type: "x", ...header }, body);
}

/** A GNU long name (`L`) or long link (`K`). */
export function longMember(type: "L" | "K", name: string): Uint8Array {
  return rawMember({ name: "././@LongLink", type, magic: "gnu" }, `${name}\0`);
}

/** One PAX record. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
}

/** A number as base-256 in a field of some bytes. */
export function base256(value: bigint, length: number): string {
  const bytes: number[] = [];
  for (let i = 0, rest = value; i < length; i++, rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return String.fromCharCode(...bytes);
}

/** The blocks of NULs that end an archive. */
export const END_MARKER: Uint8Array = new Uint8Array(1024);

/** The pieces one after the other. */
export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The pieces and an end marker. */
export function archive(...pieces: readonly Uint8Array[]): Uint8Array {
  return concat(...pieces, END_MARKER);
}

/** The bytes, and NULs up to a whole block. */
export function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array((512 - (bytes.length % 512)) % 512));
}

/** A text's chars as bytes. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

function field(value: number | string, width: number): string {
  return typeof value === "string" ? value : `${value.toString(8).padStart(width - 1, "0")}\0`;
}

function put(block: Uint8Array, at: number, text: string): void {
  block.set(latin1(text), at);
}

function checksum(block: Uint8Array, form: "unsigned" | "signed" | { text: string }): string {
  if (typeof form === "object") return form.text;
  let sum = 8 * 0x20;
  for (const byte of block) sum += form === "signed" && byte >= 0x80 ? byte - 256 : byte;
  return `${sum.toString(8).padStart(6, "0")}\0 `;
}
