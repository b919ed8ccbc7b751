// SPDX-License-Identifier: Apache-2.0
/**
 * Extended attributes that speak of users and groups: they must go along when the owners of a tree are mapped.
 *
 * - Access control lists name users and groups. acl(5), kernel `include/uapi/linux/posix_acl_xattr.h`.
 * - File capabilities hold in the user namespace whose root they state; version 2 states none and means the host's, so a
 *   container's `setcap` program would lose its rights. capabilities(7), "File capability extended attribute versioning".
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { IdShift } from "../core/id_map.ts";

/** The attribute of file capabilities, which chown(2) removes. */
export const CAPABILITY = "security.capability";

const ACLS: ReadonlySet<string> = new Set(["system.posix_acl_access", "system.posix_acl_default"]);
const LITTLE_ENDIAN = true;

/** Bytes of a list's version, and of an entry: tag, permissions, id. */
const ACL_HEAD_BYTES = 4;
const ACL_ENTRY_BYTES = 8;
const ACL_VERSION = 2;
const ACL_USER = 0x02;
const ACL_GROUP = 0x08;

/** Version 2: a word of version and flags, four words of capabilities. Version 3 adds the root of the namespace. */
const CAPABILITY_2_BYTES = 20;
const CAPABILITY_3_BYTES = 24;
const VERSION_2 = 0x0200_0000;
const VERSION_3 = 0x0300_0000;
const VERSION_MASK = 0xff00_0000;

/**
 * The value that means the same under other ids. What speaks of no ids, or is malformed, stays as it is.
 * @throws {StrataError} `INVALID_ARGUMENT` for a list with an id that has no counterpart
 */
export function shiftXattr(name: ByteString, value: Uint8Array, shift: IdShift): Uint8Array {
  if (ACLS.has(name)) return shiftAcl(value, shift);
  return name === CAPABILITY ? shiftCapability(value, shift) : value;
}

function shiftAcl(value: Uint8Array, shift: IdShift): Uint8Array {
  const shifted = value.slice();
  const view = viewOf(shifted);
  if (view.byteLength < ACL_HEAD_BYTES || view.getUint32(0, LITTLE_ENDIAN) !== ACL_VERSION) return value;
  for (let at = ACL_HEAD_BYTES; at + ACL_ENTRY_BYTES <= view.byteLength; at += ACL_ENTRY_BYTES) {
    const tag = view.getUint16(at, LITTLE_ENDIAN);
    const id = view.getUint32(at + 4, LITTLE_ENDIAN);
    if (tag === ACL_USER) view.setUint32(at + 4, shift.uid(id), LITTLE_ENDIAN);
    if (tag === ACL_GROUP) view.setUint32(at + 4, shift.gid(id), LITTLE_ENDIAN);
  }
  return shifted;
}

/** Capabilities of a namespace that the maps do not know remain that namespace's. */
function shiftCapability(value: Uint8Array, shift: IdShift): Uint8Array {
  const root = namespaceRoot(value);
  const shiftedRoot = root === undefined ? undefined : shiftedOrUndefined(root, shift);
  if (shiftedRoot === undefined || shiftedRoot === root) return value;
  const shifted = new Uint8Array(shiftedRoot === 0 ? CAPABILITY_2_BYTES : CAPABILITY_3_BYTES);
  shifted.set(value.subarray(0, CAPABILITY_2_BYTES));
  const view = viewOf(shifted);
  const flags = view.getUint32(0, LITTLE_ENDIAN) & ~VERSION_MASK;
  view.setUint32(0, flags | (shiftedRoot === 0 ? VERSION_2 : VERSION_3), LITTLE_ENDIAN);
  if (shiftedRoot !== 0) view.setUint32(CAPABILITY_2_BYTES, shiftedRoot, LITTLE_ENDIAN);
  return shifted;
}

/** The user who is root where the capabilities hold; `undefined` for what is no value of version 2 or 3. */
function namespaceRoot(value: Uint8Array): number | undefined {
  const view = viewOf(value);
  if (view.byteLength < CAPABILITY_2_BYTES) return undefined;
  const version = view.getUint32(0, LITTLE_ENDIAN) & VERSION_MASK;
  if (version === VERSION_2 && view.byteLength === CAPABILITY_2_BYTES) return 0;
  if (version !== VERSION_3 || view.byteLength !== CAPABILITY_3_BYTES) return undefined;
  return view.getUint32(CAPABILITY_2_BYTES, LITTLE_ENDIAN);
}

function shiftedOrUndefined(uid: number, shift: IdShift): number | undefined {
  try {
    return shift.uid(uid);
  } catch (error) {
    if (error instanceof StrataError) return undefined;
    throw error;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
