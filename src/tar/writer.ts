// SPDX-License-Identifier: Apache-2.0
/**
 * Writes archives whose bytes depend on their members only: the same on every runtime, and for members that Docker
 * can write, the same that Docker (Go's archive/tar) writes.
 *
 * A plain ustar header where it can express the member; else a PAX header with the records that it needs, sorted. Names
 * that are not ASCII stand in `path` and `linkpath` as their bytes. For such that are not UTF-8 no `hdrcharset` record
 * is written: Go and GNU tar do not know it, and Go, GNU tar, bsdtar and Python all give the bytes back without it
 * (bsdtar with a warning).
 *
 * Source: POSIX.1-2017 pax(1); star(5) for extended attributes.
 *
 * @module
 */
import { type ByteString, display, fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { DEFAULT_LIMITS } from "../core/limits.ts";
import type { TarMember } from "./entry.ts";
import { checksumOf } from "./header.ts";
import { BLOCK_BYTES, FIELD, type Field, paddingOf, TYPE } from "./layout.ts";
import { fitsOctal, putOctal } from "./numeric.ts";
import { formatPax, formatPaxTime, PAX_KEY } from "./pax.ts";
import { xattrRecord } from "./xattr.ts";

const END_MARKER_BYTES = 2 * BLOCK_BYTES;
const CHECKSUM_DIGITS: Field = { label: "checksum digits", at: FIELD.checksum.at, length: 7 };
const EMPTY = fromText("");

/** Writes members one after the other, each complete before the next. */
export class TarWriter {
  readonly #sink: (bytes: Uint8Array) => void;
  #name: ByteString = EMPTY;
  #missing = 0;
  #padding = 0;
  #ended = false;

  /** Makes a writer. What the sink gets is its own to keep, but for payload, which is passed on as it came. */
  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink;
  }

  /**
   * Begins a member. Its content follows by {@link data}, if it has any.
   * @throws {StrataError} `INVALID_ARGUMENT` when the member before it lacks content or tar cannot express this one,
   * `LIMIT_EXCEEDED` when its PAX records are longer than readers accept
   */
  entry(member: TarMember): void {
    this.#finishMember();
    checkMember(member);
    const name = archiveName(member);
    const prefix = splitName(name);
    const records = recordsOf(member, name);
    const isUstar = records.size === 0 || (records.size === 1 && records.has(PAX_KEY.path) && prefix !== undefined);
    if (!isUstar) this.#writeRecords(name, records);
    this.#sink(mainHeader(member, isUstar && prefix !== undefined ? prefix : { prefix: EMPTY, name: ascii(name) }));
    this.#name = name;
    this.#missing = member.size ?? 0;
    this.#padding = paddingOf(this.#missing);
    if (this.#missing === 0) this.#finishMember();
  }

  /**
   * Takes the next bytes of the member's content.
   * @throws {StrataError} `INVALID_ARGUMENT` when they are more than the member's size
   */
  data(bytes: Uint8Array): void {
    if (bytes.length > this.#missing) {
      refuseArgument("bytes", `"${display(this.#name)}" has ${bytes.length - this.#missing} bytes more than its size`);
    }
    if (bytes.length === 0) return;
    this.#missing -= bytes.length;
    this.#sink(bytes);
    if (this.#missing === 0) this.#finishMember();
  }

  /**
   * Ends the archive: two blocks of NULs, and no padding to a tape's record.
   * @throws {StrataError} `INVALID_ARGUMENT` when the last member lacks content, or at a second call
   */
  end(): void {
    this.#finishMember();
    this.#ended = true;
    this.#sink(new Uint8Array(END_MARKER_BYTES));
  }

  #finishMember(): void {
    if (this.#ended) refuseArgument("member", "the archive has ended");
    if (this.#missing > 0) refuseArgument("bytes", `"${display(this.#name)}" lacks ${this.#missing} bytes of its size`);
    if (this.#padding > 0) this.#sink(new Uint8Array(this.#padding));
    this.#padding = 0;
  }

  #writeRecords(name: ByteString, records: ReadonlyMap<ByteString, ByteString>): void {
    const body = formatPax(records);
    const max = DEFAULT_LIMITS.extensionBytesMax;
    if (body.length > max) {
      throw new StrataError(
        "LIMIT_EXCEEDED",
        `Cannot write tar: the PAX records of "${display(name)}" have ${body.length} bytes, readers accept ${max}`,
        { limit: "extensionBytesMax", max, entry: display(name) },
      );
    }
    this.#sink(paxHeader(name, body.length));
    this.#sink(body);
    if (paddingOf(body.length) > 0) this.#sink(new Uint8Array(paddingOf(body.length)));
  }
}

/** Where a name stands in a ustar header. */
interface SplitName {
  readonly prefix: ByteString;
  readonly name: ByteString;
}

function checkMember(member: TarMember): void {
  const { name, type, linkName = EMPTY, mode, uid, gid, size = 0, mtime, devMajor = 0, devMinor = 0 } = member;
  const quoted = `"${display(name)}"`;
  const isLink = type === "hardlink" || type === "symlink";
  if (name === "" || name.includes("\0")) refuseArgument("name", `${quoted} is not a name`);
  if (type !== "dir" && name.endsWith("/")) refuseArgument("name", `${quoted} ends in a slash, but is no directory`);
  if (linkName.includes("\0") || isLink === (linkName === "")) {
    refuseArgument("linkName", `${quoted} has no link target, or one that it must not have`);
  }
  if (type !== "file" && size !== 0) refuseArgument("size", `${quoted} cannot have content`);
  for (const [key, value] of Object.entries({ mode, uid, gid, size, devMajor, devMinor })) {
    if (!Number.isSafeInteger(value) || value < 0) refuseArgument(key, `the ${key} of ${quoted} is ${value}`);
  }
  if (!fitsOctal(mode, FIELD.mode)) refuseArgument("mode", `the mode of ${quoted} is too large`);
  if (!fitsOctal(Math.max(devMajor, devMinor), FIELD.devMajor)) {
    refuseArgument("devMajor", `the device numbers of ${quoted} are too large`);
  }
  if (!Number.isSafeInteger(mtime.sec) || !Number.isInteger(mtime.nsec) || mtime.nsec < 0 || mtime.nsec >= 1e9) {
    refuseArgument("mtime", `the mtime of ${quoted} is not a time`);
  }
}

function refuseArgument(argument: string, why: string): never {
  throw new StrataError("INVALID_ARGUMENT", `Cannot write tar: ${why}`, { argument });
}

function archiveName(member: TarMember): ByteString {
  return member.type === "dir" && !member.name.endsWith("/") ? `${member.name}/` as ByteString : member.name;
}

/** What a ustar header without a prefix cannot say. */
function recordsOf(member: TarMember, name: ByteString): Map<ByteString, ByteString> {
  const { linkName = EMPTY, size = 0, mtime } = member;
  const records = new Map<ByteString, ByteString>();
  if (!fitsText(name, FIELD.name)) records.set(PAX_KEY.path, name);
  if (!fitsText(linkName, FIELD.linkName)) records.set(PAX_KEY.linkPath, linkName);
  if (!fitsOctal(member.uid, FIELD.uid)) records.set(PAX_KEY.uid, fromText(String(member.uid)));
  if (!fitsOctal(member.gid, FIELD.gid)) records.set(PAX_KEY.gid, fromText(String(member.gid)));
  if (!fitsOctal(size, FIELD.size)) records.set(PAX_KEY.size, fromText(String(size)));
  if (mtime.nsec !== 0 || !fitsOctal(mtime.sec, FIELD.mtime)) records.set(PAX_KEY.mtime, formatPaxTime(mtime));
  for (const [xattr, value] of member.xattrs ?? []) {
    if (xattr === "" || xattr.includes("=") || xattr.includes("\0")) {
      refuseArgument("xattrs", `"${display(xattr)}" of "${display(name)}" cannot be the key of a PAX record`);
    }
    records.set(...xattrRecord(xattr, value));
  }
  return records;
}

/** A long name cut at the last slash that leaves both parts short enough; `undefined` when there is none. */
function splitName(name: ByteString): SplitName | undefined {
  if (name.length <= FIELD.name.length || !isAscii(name)) return undefined;
  const reach = Math.min(FIELD.prefix.length + 1, name.endsWith("/") ? name.length - 1 : name.length);
  const slash = name.lastIndexOf("/", reach - 1);
  const rest = name.length - slash - 1;
  if (slash <= 0 || rest === 0 || rest > FIELD.name.length) return undefined;
  return { prefix: name.slice(0, slash) as ByteString, name: name.slice(slash + 1) as ByteString };
}

/** The header of the PAX records: named after the member, so that readers without PAX unpack something telling. */
function paxHeader(memberName: ByteString, size: number): Uint8Array {
  const slash = memberName.lastIndexOf("/") + 1;
  const base = memberName.slice(slash);
  const name = ascii(`${memberName.slice(0, slash)}PaxHeaders.0${base === "" ? "" : `/${base}`}` as ByteString);
  const block = new Uint8Array(BLOCK_BYTES);
  putText(block, FIELD.name, trimSlashes(name.slice(0, FIELD.name.length)));
  for (const field of [FIELD.mode, FIELD.uid, FIELD.gid, FIELD.mtime]) putOctal(block, field, 0);
  putOctal(block, FIELD.size, size);
  block[FIELD.typeFlag.at] = TYPE.paxNext;
  return seal(block);
}

function mainHeader(member: TarMember, { prefix, name }: SplitName): Uint8Array {
  const block = new Uint8Array(BLOCK_BYTES);
  putName(block, name);
  putText(block, FIELD.linkName, ascii(member.linkName ?? EMPTY));
  putOctalOrZero(block, FIELD.mode, member.mode);
  putOctalOrZero(block, FIELD.uid, member.uid);
  putOctalOrZero(block, FIELD.gid, member.gid);
  putOctalOrZero(block, FIELD.size, member.size ?? 0);
  putOctalOrZero(block, FIELD.mtime, member.mtime.sec);
  putOctalOrZero(block, FIELD.devMajor, member.devMajor ?? 0);
  putOctalOrZero(block, FIELD.devMinor, member.devMinor ?? 0);
  block[FIELD.typeFlag.at] = TYPE[member.type];
  putText(block, FIELD.prefix, prefix);
  return seal(block);
}

function seal(block: Uint8Array): Uint8Array {
  putText(block, FIELD.magic, "ustar\0");
  putText(block, FIELD.version, "00");
  putOctal(block, CHECKSUM_DIGITS, checksumOf(block));
  block[FIELD.checksum.at + CHECKSUM_DIGITS.length] = 0x20;
  return block;
}

/** What does not fit is 0 here: a PAX record has it. */
function putOctalOrZero(block: Uint8Array, field: Field, value: number): void {
  putOctal(block, field, fitsOctal(value, field) ? value : 0);
}

/** A name that is cut behind a slash would make some readers take a file for a directory, so that slash goes. */
function putName(block: Uint8Array, name: ByteString): void {
  putText(block, FIELD.name, name);
  const cut = name.slice(0, FIELD.name.length);
  if (name.length > cut.length && cut.endsWith("/")) block[FIELD.name.at + trimSlashes(cut).length] = 0;
}

function putText(block: Uint8Array, field: Field, text: string): void {
  const length = Math.min(text.length, field.length);
  for (let i = 0; i < length; i++) block[field.at + i] = text.charCodeAt(i);
}

function fitsText(text: ByteString, field: Field): boolean {
  return text.length <= field.length && isAscii(text);
}

function isAscii(text: ByteString): boolean {
  return ascii(text).length === text.length;
}

/** Without the bytes that are not ASCII. */
function ascii(text: ByteString): ByteString {
  let kept = "";
  for (const char of text) if (char < "\x80") kept += char;
  return (kept.length === text.length ? text : kept) as ByteString;
}

function trimSlashes(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === "/") end--;
  return text.slice(0, end);
}
