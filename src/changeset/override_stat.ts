// SPDX-License-Identifier: Apache-2.0
/**
 * What an object is said to be, where its file may not be that: `uid:gid:mode:type` in an extended attribute, the mode in
 * octal, the type one of `dir`, `file`, `symlink`, `pipe`, `socket`, `block-<major>-<minor>`, `char-<major>-<minor>`.
 *
 * containers/storage writes `user.containers.override_stat` for its option `force_mask`, formerly without the type.
 * fuse-overlayfs reads that, and writes an attribute of its own without the type, whose mode may have the type's bits of
 * inode(7): what it says of owner and mode is newer.
 *
 * @module
 */
import { type ByteString, fromText } from "../core/bytes.ts";
import type { FileStat, FileType } from "../core/file_stat.ts";

/** What is true of an object, whatever its file says. */
export interface OverrideStat {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** Absent: the file's own. */
  readonly type?: FileType;
  /** A device's numbers; 0 for everything else. */
  readonly rdevMajor: number;
  /** As {@link OverrideStat.rdevMajor}. */
  readonly rdevMinor: number;
}

/** The attribute that is written. */
export const OVERRIDE_XATTR: ByteString = fromText("user.containers.override_stat");
/** The one that fuse-overlayfs writes with the option `xattr_permissions=2`. */
export const PROGRAM_OVERRIDE_XATTR: ByteString = fromText("user.fuseoverlayfs.override_stat");
/** All of fuse-overlayfs, the one that is only root's first. */
const PROGRAM_XATTRS: readonly ByteString[] = [
  fromText("security.fuseoverlayfs.override_stat"),
  PROGRAM_OVERRIDE_XATTR,
];

const FORM = /^(\d{1,10}):(\d{1,10}):([0-7]{1,7})(?::([a-z]+)(?:-(\d{1,10})-(\d{1,10}))?)?$/;
const PERMISSION_BITS = 0o7777;
const ID_MAX = 0xffff_fffe;
const WORDS: Readonly<Record<FileType, string>> = {
  dir: "dir",
  file: "file",
  symlink: "symlink",
  fifo: "pipe",
  socket: "socket",
  block: "block",
  char: "char",
};
const TYPES = new Map(Object.entries(WORDS).map(([type, word]) => [word, type as FileType]));

/** Whether an attribute tells of the object, and is no part of it. */
export function isOverrideXattr(name: ByteString): boolean {
  return name === OVERRIDE_XATTR || PROGRAM_XATTRS.includes(name);
}

/** The attribute's value. */
export function formatOverride({ uid, gid, mode, type, rdevMajor, rdevMinor }: OverrideStat): Uint8Array {
  const fields = [uid, gid, mode.toString(8).padStart(4, "0")];
  if (type !== undefined) fields.push(isDevice(type) ? `${WORDS[type]}-${rdevMajor}-${rdevMinor}` : WORDS[type]);
  return new TextEncoder().encode(fields.join(":"));
}

/** What a value says; `undefined` when it does not have the form. */
export function parseOverride(value: Uint8Array): OverrideStat | undefined {
  const [, uid, gid, mode, word, major, minor] = FORM.exec(new TextDecoder().decode(value)) ?? [];
  if (uid === undefined || gid === undefined || mode === undefined) return undefined;
  if (Number(uid) > ID_MAX || Number(gid) > ID_MAX) return undefined;
  const owned = { uid: Number(uid), gid: Number(gid), mode: parseInt(mode, 8) & PERMISSION_BITS };
  const type = word === undefined ? undefined : TYPES.get(word);
  if (word === undefined) return { ...owned, rdevMajor: 0, rdevMinor: 0 };
  if (type === undefined || isDevice(type) !== (major !== undefined)) return undefined;
  return { ...owned, type, rdevMajor: Number(major ?? 0), rdevMinor: Number(minor ?? 0) };
}

/** What all of an object's attributes together say. */
export function overrideOf(attributes: ReadonlyMap<ByteString, Uint8Array>): OverrideStat | undefined {
  const stored = parsed(attributes, OVERRIDE_XATTR);
  for (const name of PROGRAM_XATTRS) {
    const newer = parsed(attributes, name);
    if (newer !== undefined) return { ...newer, ...kindOf(stored) };
  }
  return stored;
}

/** What the object is, with what is said of it. Only a regular file can stand for something else. */
export function overridden(stat: FileStat, said: OverrideStat | undefined): FileStat {
  if (said === undefined || (stat.type !== "file" && stat.type !== "dir")) return stat;
  const { uid, gid, mode, type = stat.type, rdevMajor, rdevMinor } = said;
  const isStandIn = stat.type === "file" && type !== "dir" && type !== "symlink";
  return isStandIn ? { ...stat, uid, gid, mode, type, rdevMajor, rdevMinor } : { ...stat, uid, gid, mode };
}

function parsed(attributes: ReadonlyMap<ByteString, Uint8Array>, name: ByteString): OverrideStat | undefined {
  const value = attributes.get(name);
  return value && parseOverride(value);
}

function kindOf(stored: OverrideStat | undefined): Partial<OverrideStat> {
  if (stored?.type === undefined) return {};
  return { type: stored.type, rdevMajor: stored.rdevMajor, rdevMinor: stored.rdevMinor };
}

function isDevice(type: FileType): boolean {
  return type === "block" || type === "char";
}
