// SPDX-License-Identifier: Apache-2.0
/**
 * One header block, as written: nothing of the extension headers before it is applied here.
 *
 * Dialects are told apart by magic, version and trailer as in Go's archive/tar, which Docker, containerd and
 * tar-split read with. POSIX.1-2017 pax(1), "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
 *
 * @module
 */
import { type ByteString, fromBytes, fromText } from "../core/bytes.ts";
import type { TarFormat } from "./entry.ts";
import { BLOCK_BYTES, FIELD, type Field } from "./layout.ts";
import { parseNumeric, parseOctal } from "./numeric.ts";
import { refuse } from "./refuse.ts";

/** The fields of one header block. Times are whole seconds. */
export interface TarHeader {
  readonly name: ByteString;
  readonly typeFlag: number;
  readonly linkName: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly uname: ByteString;
  readonly gname: ByteString;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly atime: number | undefined;
  readonly ctime: number | undefined;
  readonly format: TarFormat;
  /** Where the block stands in the archive. Bytes. */
  readonly offset: number;
}

const EMPTY = fromText("");

/**
 * The header in a block that is not all NUL.
 * @throws {StrataError} `INVALID_ARCHIVE` for a wrong checksum, or a number that is junk or beyond 2^53 - 1
 */
export function parseHeader(block: Uint8Array, offset: number): TarHeader {
  if (!hasValidChecksum(block)) {
    if (offset === 0) refuse("not a tar archive: no valid header at offset 0", { offset });
    refuse("the header's checksum is wrong", { offset });
  }
  const format = formatOf(block);
  const extra = format === "v7" ? NO_EXTRA : parseExtra(block, format, offset);
  const name = parseString(block, FIELD.name);
  return {
    name: extra.prefix === "" ? name : joinPrefix(extra.prefix, name),
    typeFlag: block[FIELD.typeFlag.at]!,
    linkName: parseString(block, FIELD.linkName),
    mode: parseNumber(block, FIELD.mode, offset),
    uid: parseNumber(block, FIELD.uid, offset),
    gid: parseNumber(block, FIELD.gid, offset),
    size: parseNumber(block, FIELD.size, offset),
    mtime: parseNumber(block, FIELD.mtime, offset),
    uname: extra.uname,
    gname: extra.gname,
    devMajor: extra.devMajor,
    devMinor: extra.devMinor,
    atime: extra.atime,
    ctime: extra.ctime,
    format,
    offset,
  };
}

/** The sum of a block's bytes, with the checksum field taken as spaces. */
export function checksumOf(block: Uint8Array): number {
  let sum = CHECKSUM_AS_SPACES;
  for (let i = 0; i < FIELD.checksum.at; i++) sum += block[i]!;
  for (let i = FIELD.checksum.at + FIELD.checksum.length; i < BLOCK_BYTES; i++) sum += block[i]!;
  return sum;
}

/**
 * The number in a field.
 * @throws {StrataError} `INVALID_ARCHIVE` when it is junk or beyond 2^53 - 1
 */
export function parseNumber(block: Uint8Array, field: Field, offset: number): number {
  const value = parseNumeric(block, field);
  if (Number.isSafeInteger(value)) return value;
  refuse(`the header's ${field.label} is ${Number.isNaN(value) ? "not a number" : "beyond 2^53 - 1"}`, { offset });
}

const CHECKSUM_AS_SPACES = 8 * 0x20;

/** What v7 headers lack. */
interface ExtraFields {
  uname: ByteString;
  gname: ByteString;
  devMajor: number;
  devMinor: number;
  prefix: ByteString;
  atime: number | undefined;
  ctime: number | undefined;
}

const NO_EXTRA: Readonly<ExtraFields> = {
  uname: EMPTY,
  gname: EMPTY,
  devMajor: 0,
  devMinor: 0,
  prefix: EMPTY,
  atime: undefined,
  ctime: undefined,
};

function parseExtra(block: Uint8Array, format: TarFormat, offset: number): ExtraFields {
  const extra: ExtraFields = {
    uname: parseString(block, FIELD.uname),
    gname: parseString(block, FIELD.gname),
    devMajor: parseNumber(block, FIELD.devMajor, offset),
    devMinor: parseNumber(block, FIELD.devMinor, offset),
    prefix: EMPTY,
    atime: undefined,
    ctime: undefined,
  };
  if (format === "gnu") readGnuTail(block, extra);
  else if (format === "star") readStarTail(block, extra, offset);
  else extra.prefix = parseString(block, FIELD.prefix);
  return extra;
}

function readStarTail(block: Uint8Array, extra: ExtraFields, offset: number): void {
  extra.prefix = parseString(block, FIELD.starPrefix);
  extra.atime = parseNumber(block, FIELD.starAtime, offset);
  extra.ctime = parseNumber(block, FIELD.starCtime, offset);
}

/**
 * GNU headers have times where ustar has the prefix. Go's writer before 1.8 put a prefix there all the same; such
 * headers are known by times that are not numbers, and read as Go reads them.
 */
function readGnuTail(block: Uint8Array, extra: ExtraFields): void {
  const atime = block[FIELD.gnuAtime.at] === 0 ? undefined : parseNumeric(block, FIELD.gnuAtime);
  const ctime = block[FIELD.gnuCtime.at] === 0 ? undefined : parseNumeric(block, FIELD.gnuCtime);
  if (Number.isSafeInteger(atime ?? 0) && Number.isSafeInteger(ctime ?? 0)) {
    extra.atime = atime;
    extra.ctime = ctime;
    return;
  }
  const prefix = parseString(block, FIELD.prefix);
  if (isAscii(prefix)) extra.prefix = prefix;
}

function formatOf(block: Uint8Array): TarFormat {
  if (matches(block, FIELD.magic, "ustar\0")) {
    return matches(block, FIELD.starTrailer, "tar\0") ? "star" : "ustar";
  }
  return matches(block, FIELD.magic, "ustar ") && matches(block, FIELD.version, " \0") ? "gnu" : "v7";
}

/** Some old writers summed signed chars, so both sums are right. */
function hasValidChecksum(block: Uint8Array): boolean {
  const written = parseOctal(block, FIELD.checksum);
  const unsigned = checksumOf(block);
  return written === unsigned || written === unsigned - 256 * highBytes(block);
}

/** Bytes that a signed char takes for negative, outside the checksum field. */
function highBytes(block: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < BLOCK_BYTES; i++) if (block[i]! >= 0x80) count++;
  for (let i = 0; i < FIELD.checksum.length; i++) if (block[FIELD.checksum.at + i]! >= 0x80) count--;
  return count;
}

/** The bytes up to the first NUL, or the whole field. */
function parseString(block: Uint8Array, field: Field): ByteString {
  let end = field.at;
  const limit = field.at + field.length;
  while (end < limit && block[end] !== 0) end++;
  return end === field.at ? EMPTY : fromBytes(block.subarray(field.at, end));
}

function joinPrefix(prefix: ByteString, name: ByteString): ByteString {
  return `${prefix}/${name}` as ByteString;
}

function matches(block: Uint8Array, field: Field, text: string): boolean {
  for (let i = 0; i < field.length; i++) if (block[field.at + i] !== text.charCodeAt(i)) return false;
  return true;
}

function isAscii(text: ByteString): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}
