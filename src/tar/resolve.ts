// SPDX-License-Identifier: Apache-2.0
/**
 * One member from its header and the extension headers before it: PAX over header, GNU long names over PAX, as in
 * Go's archive/tar, whose reading decides what Docker and containerd unpack.
 *
 * Where well-known readers would see different archives in the same bytes, the archive is refused: above all when the
 * header and a PAX record give two sizes (CVE-2025-62518).
 *
 * @module
 */
import { type ByteString, fromText } from "../core/bytes.ts";
import type { Timespec } from "../core/file_stat.ts";
import type { Limits } from "../core/limits.ts";
import type { TarEntry, TarEntryType } from "./entry.ts";
import type { TarHeader } from "./header.ts";
import { TYPE } from "./layout.ts";
import { NO_RECORDS, parsePaxInteger, parsePaxTime, PAX_KEY, type PaxRecords } from "./pax.ts";
import { type Place, refuse } from "./refuse.ts";
import { NO_XATTRS, xattrsOf } from "./xattr.ts";

/** What extension headers said about the next member. Fields are absent until one of the kind was read. */
export interface Extensions {
  pax?: PaxRecords;
  longName?: ByteString;
  longLink?: ByteString;
}

const EMPTY = fromText("");

/**
 * The member, its sparse map not yet applied: `size` and `storedSize` are both what the archive stores.
 * @throws {StrataError} `INVALID_ARCHIVE`, `LIMIT_EXCEEDED` when the records are malformed, contradict the header or pass a limit
 */
export function resolveEntry(header: TarHeader, extensions: Extensions, limits: Limits): TarEntry {
  const pax = extensions.pax ?? NO_RECORDS;
  const name = extensions.longName || textOr(pax, PAX_KEY.path, header.name);
  const place = { offset: header.offset, entry: name, limits };
  const type = typeOf(header.typeFlag, name);
  const headerSize = resolveSize(header, pax, place);
  const hasContent = type === "file" || type === "unknown";
  if (hasContent && headerSize < 0) refuse("the size is negative", place);
  const size = hasContent ? headerSize : 0;
  const linkName = type === "hardlink" || type === "symlink"
    ? extensions.longLink || textOr(pax, PAX_KEY.linkPath, header.linkName)
    : EMPTY;
  return {
    name,
    type,
    typeFlag: header.typeFlag,
    linkName,
    mode: header.mode,
    uid: integerOr(pax, PAX_KEY.uid, header.uid, place),
    gid: integerOr(pax, PAX_KEY.gid, header.gid, place),
    uname: textOr(pax, PAX_KEY.uname, header.uname),
    gname: textOr(pax, PAX_KEY.gname, header.gname),
    size,
    storedSize: size,
    headerSize,
    mtime: timeOr(pax, PAX_KEY.mtime, header.mtime, place),
    atime: optionalTime(pax, PAX_KEY.atime, header.atime, place),
    ctime: optionalTime(pax, PAX_KEY.ctime, header.ctime, place),
    devMajor: header.devMajor,
    devMinor: header.devMinor,
    xattrs: xattrsOf(pax, place),
    pax,
    sparse: undefined,
    format: extensions.pax === undefined ? header.format : "pax",
    offset: header.offset,
  };
}

/**
 * The member that a global header is: its own name or its `path` record, and nothing else of the records, which
 * Docker applies to no file.
 */
export function globalEntry(header: TarHeader, pax: PaxRecords): TarEntry {
  return {
    name: textOr(pax, PAX_KEY.path, header.name),
    type: "global",
    typeFlag: header.typeFlag,
    linkName: EMPTY,
    mode: header.mode,
    uid: header.uid,
    gid: header.gid,
    uname: header.uname,
    gname: header.gname,
    size: 0,
    storedSize: 0,
    headerSize: 0,
    mtime: { sec: header.mtime, nsec: 0 },
    atime: undefined,
    ctime: undefined,
    devMajor: header.devMajor,
    devMinor: header.devMinor,
    xattrs: NO_XATTRS,
    pax,
    sparse: undefined,
    format: "pax",
    offset: header.offset,
  };
}

/** Before POSIX a directory was a file whose name ends in a slash; with flag `0`, Go and Docker see a file. */
function typeOf(flag: number, name: ByteString): TarEntryType {
  switch (flag) {
    case TYPE.oldFile:
      return name.endsWith("/") ? "dir" : "file";
    case TYPE.file:
    case TYPE.gnuSparse:
      return "file";
    case TYPE.hardlink:
      return "hardlink";
    case TYPE.symlink:
      return "symlink";
    case TYPE.char:
      return "char";
    case TYPE.block:
      return "block";
    case TYPE.dir:
      return "dir";
    case TYPE.fifo:
      return "fifo";
    default:
      return "unknown";
  }
}

function resolveSize(header: TarHeader, pax: PaxRecords, place: Place): number {
  const size = integerOr(pax, PAX_KEY.size, header.size, place);
  if (header.size !== 0 && header.size !== size) {
    refuse(`the header's size (${header.size}) is not the PAX size (${size}); readers differ on which governs`, place);
  }
  return size;
}

/** An empty value leaves the header's in force. */
function textOr(pax: PaxRecords, key: ByteString, fallback: ByteString): ByteString {
  return pax.get(key) || fallback;
}

function integerOr(pax: PaxRecords, key: ByteString, fallback: number, place: Place): number {
  const text = pax.get(key);
  if (text === undefined || text === "") return fallback;
  const value = parsePaxInteger(text);
  if (Number.isSafeInteger(value)) return value;
  refuse(`the PAX ${key} is not a whole number of at most 2^53 - 1`, place);
}

function timeOr(pax: PaxRecords, key: ByteString, fallbackSec: number, place: Place): Timespec {
  return optionalTime(pax, key, fallbackSec, place) ?? { sec: fallbackSec, nsec: 0 };
}

function optionalTime(
  pax: PaxRecords,
  key: ByteString,
  fallbackSec: number | undefined,
  place: Place,
): Timespec | undefined {
  const text = pax.get(key);
  if (text === undefined || text === "") return fallbackSec === undefined ? undefined : { sec: fallbackSec, nsec: 0 };
  const time = parsePaxTime(text);
  if (time !== undefined) return time;
  refuse(`the PAX ${key} is not a time`, place);
}
