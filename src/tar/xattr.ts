// SPDX-License-Identifier: Apache-2.0
/**
 * Extended attributes in PAX records: `SCHILY.xattr.<name>` with the value's bytes as they are. star(5).
 *
 * `LIBARCHIVE.xattr.*` says the same once more, in base64 and URL encoding, and is left alone. Names and values are
 * not interpreted: which attributes reach a file is not the codec's business.
 *
 * @module
 */
import { type ByteString, fromBytes, toBytes } from "../core/bytes.ts";
import type { Limits } from "../core/limits.ts";
import type { PaxRecords } from "./pax.ts";
import { type Place, refuse, refuseBeyond } from "./refuse.ts";

/** The bounds on a member's attributes. */
export interface XattrPlace extends Place {
  readonly limits: Limits;
}

const PREFIX = "SCHILY.xattr.";

/** No attributes. */
export const NO_XATTRS: ReadonlyMap<ByteString, Uint8Array> = new Map();

/**
 * The attributes that some records carry.
 * @throws {StrataError} `LIMIT_EXCEEDED` for too many or too long, `INVALID_ARCHIVE` for one without a name
 */
export function xattrsOf(records: PaxRecords, place: XattrPlace): ReadonlyMap<ByteString, Uint8Array> {
  let xattrs: Map<ByteString, Uint8Array> | undefined;
  for (const [key, value] of records) {
    if (!key.startsWith(PREFIX)) continue;
    if (key.length === PREFIX.length) refuse("an extended attribute has no name", place);
    if (value.length > place.limits.xattrBytesMax) refuseBeyond("xattrBytesMax", place);
    xattrs ??= new Map();
    xattrs.set(key.slice(PREFIX.length) as ByteString, toBytes(value));
    if (xattrs.size > place.limits.xattrsMax) refuseBeyond("xattrsMax", place);
  }
  return xattrs ?? NO_XATTRS;
}

/** The record that carries an attribute: key and value. */
export function xattrRecord(name: ByteString, value: Uint8Array): readonly [ByteString, ByteString] {
  return [`${PREFIX}${name}` as ByteString, fromBytes(value)];
}
