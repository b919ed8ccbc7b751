// SPDX-License-Identifier: Apache-2.0
/**
 * PAX records: `<length> <key>=<value>\n`, where the length counts itself. POSIX.1-2017 pax(1), "pax Extended Header".
 *
 * Keys and values are bytes. What breaks the grammar is refused, since readers that go on disagree about what follows.
 *
 * @module
 */
import { type ByteString, compareBytes, fromBytes, fromText, toBytes } from "../core/bytes.ts";
import type { Timespec } from "../core/file_stat.ts";
import { type Place, refuse } from "./refuse.ts";

/** PAX records by key. */
export type PaxRecords = ReadonlyMap<ByteString, ByteString>;

/** No records. */
export const NO_RECORDS: PaxRecords = new Map();

/** The keys that mean something here, apart from the extended attributes. */
export const PAX_KEY = {
  path: fromText("path"),
  linkPath: fromText("linkpath"),
  uname: fromText("uname"),
  gname: fromText("gname"),
  uid: fromText("uid"),
  gid: fromText("gid"),
  size: fromText("size"),
  mtime: fromText("mtime"),
  atime: fromText("atime"),
  ctime: fromText("ctime"),
  sparseMajor: fromText("GNU.sparse.major"),
  sparseMinor: fromText("GNU.sparse.minor"),
  sparseName: fromText("GNU.sparse.name"),
  sparseSize: fromText("GNU.sparse.size"),
  sparseRealSize: fromText("GNU.sparse.realsize"),
  sparseNumBlocks: fromText("GNU.sparse.numblocks"),
  sparseMap: fromText("GNU.sparse.map"),
  sparseOffset: fromText("GNU.sparse.offset"),
  sparseNumBytes: fromText("GNU.sparse.numbytes"),
} as const;

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
/** The shortest record: `5 a=\n`. */
const RECORD_BYTES_MIN = 5;
const NSEC_DIGITS = 9;
/** Keys whose values name files or owners, in which a NUL would cut the value short for some readers. */
const TEXT_KEYS: ReadonlySet<ByteString> = new Set([
  PAX_KEY.path,
  PAX_KEY.linkPath,
  PAX_KEY.uname,
  PAX_KEY.gname,
  PAX_KEY.sparseName,
]);

/**
 * The records of an extension header's body; of a repeated key the last. The `GNU.sparse.offset` and
 * `GNU.sparse.numbytes` pairs of sparse format 0.0, which repeat by design, become one `GNU.sparse.map`.
 * @throws {StrataError} `INVALID_ARCHIVE` for a malformed record
 */
export function parsePax(body: Uint8Array, place: Place): PaxRecords {
  const records = new Map<ByteString, ByteString>();
  const pairs: ByteString[] = [];
  let at = 0;
  while (at < body.length) {
    const record = parseRecord(body, at, place);
    at = record.end;
    if (record.key === PAX_KEY.sparseOffset || record.key === PAX_KEY.sparseNumBytes) addToPairs(pairs, record, place);
    else records.set(record.key, record.value);
  }
  if (pairs.length > 0) records.set(PAX_KEY.sparseMap, fromText(pairs.join(",")));
  return records;
}

/**
 * An extension header's body with these records, sorted by key so that equal records give equal bytes.
 */
export function formatPax(records: PaxRecords): Uint8Array<ArrayBuffer> {
  const sorted = [...records].sort(([a], [b]) => compareBytes(a, b));
  return toBytes(sorted.map(([key, value]) => formatRecord(key, value)).join("") as ByteString);
}

/** A decimal integer, with a minus sign or without. `NaN` for anything else, an infinity beyond 2^53 - 1. */
export function parsePaxInteger(text: string): number {
  const isNegative = text.startsWith("-");
  const value = parseDigits(text, isNegative ? 1 : 0);
  return isNegative && value !== 0 ? -value : value;
}

/**
 * A time: decimal seconds with an optional minus sign and fraction, digits beyond the ninth dropped.
 * `undefined` for anything else.
 */
export function parsePaxTime(text: string): Timespec | undefined {
  const dot = text.indexOf(".");
  const whole = dot < 0 ? text : text.slice(0, dot);
  const fraction = dot < 0 ? "" : text.slice(dot + 1);
  const sec = parsePaxInteger(whole);
  if (!Number.isSafeInteger(sec)) return undefined;
  if (fraction === "") return { sec, nsec: 0 };
  if (Number.isNaN(parseDigits(fraction, 0))) return undefined;
  const nsec = Number(fraction.slice(0, NSEC_DIGITS).padEnd(NSEC_DIGITS, "0"));
  if (nsec === 0 || !whole.startsWith("-")) return { sec, nsec };
  return { sec: sec - 1, nsec: 1e9 - nsec };
}

/** The shortest decimal form of a time. */
export function formatPaxTime({ sec, nsec }: Timespec): ByteString {
  if (nsec === 0) return fromText(String(sec));
  const isNegative = sec < 0;
  const whole = isNegative ? -(sec + 1) : sec;
  const fraction = isNegative ? 1e9 - nsec : nsec;
  const digits = trimZeros(String(fraction).padStart(NSEC_DIGITS, "0"));
  return fromText(`${isNegative ? "-" : ""}${whole}.${digits}`);
}

interface PaxRecord {
  readonly key: ByteString;
  readonly value: ByteString;
  /** Where the next record begins. */
  readonly end: number;
}

function parseRecord(body: Uint8Array, start: number, place: Place): PaxRecord {
  let at = start;
  let length = 0;
  while (at < body.length && body[at]! >= ZERO && body[at]! <= NINE && length <= body.length) {
    length = length * 10 + (body[at]! - ZERO);
    at++;
  }
  const end = start + length;
  const isSound = body[start] !== ZERO && body[at] === SPACE && length >= RECORD_BYTES_MIN && end <= body.length &&
    body[end - 1] === NEWLINE;
  if (!isSound) refuse("a PAX record does not have the length that it states", place);
  const equals = body.indexOf(EQUALS, at + 1);
  if (equals <= at + 1 || equals >= end) refuse("a PAX record has no key", place);
  const key = fromBytes(body.subarray(at + 1, equals));
  const value = fromBytes(body.subarray(equals + 1, end - 1));
  if (key.includes("\0")) refuse("a PAX key contains a NUL byte", place);
  if (TEXT_KEYS.has(key) && value.includes("\0")) refuse(`the PAX ${key} contains a NUL byte`, place);
  return { key, value, end };
}

function addToPairs(pairs: ByteString[], record: PaxRecord, place: Place): void {
  const due = pairs.length % 2 === 0 ? PAX_KEY.sparseOffset : PAX_KEY.sparseNumBytes;
  if (record.key !== due || record.value.includes(",")) {
    refuse("the GNU.sparse.offset and GNU.sparse.numbytes records do not come in pairs", place);
  }
  pairs.push(record.value);
}

/** A record's length depends on the digits of that length: at the edges of powers of ten it takes a second round. */
function formatRecord(key: ByteString, value: ByteString): string {
  const rest = key.length + value.length + " =\n".length;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function parseDigits(text: string, start: number): number {
  if (start === text.length) return NaN;
  let value = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value > Number.MAX_SAFE_INTEGER ? Infinity : value;
}

function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === "0") end--;
  return digits.slice(0, end);
}
