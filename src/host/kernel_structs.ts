// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel's structures as they lie in memory, read and written without an FFI library's help: on the path of every
 * file, a `DataView` on one buffer is cheaper than marshalling.
 *
 * Layouts of 64-bit little-endian Linux: statx(2), statfs(2), getdents64(2), openat2(2), `struct timespec`.
 *
 * @module
 */
import { type ByteString, fromBytes } from "../core/bytes.ts";
import type { FileStat, FileType, Timespec } from "../core/file_stat.ts";
import { fileTypeOf } from "./linux.ts";

/** Bytes of `struct statx`. */
export const STATX_BYTES = 256;
/** Bytes of `struct statfs`. */
export const STATFS_BYTES = 120;
/** Bytes of two `struct timespec`. */
export const TIMES_BYTES = 32;
/** Bytes of the first version of `struct open_how`. */
export const OPEN_HOW_BYTES = 24;

/** A directory's entry, as far as the directory itself tells. */
export interface DirEntry {
  /** The last component. */
  readonly name: ByteString;
  /** `undefined` when the file system does not say. */
  readonly type: FileType | undefined;
  /** Inode number. */
  readonly ino: bigint;
}

/** What is known of a whole file system. */
export interface FileSystemStat {
  /** `f_type`: which kind of file system it is. */
  readonly magic: number;
  /** Bytes that an unprivileged user can still write. */
  readonly freeBytes: number;
  /** Bytes in all. */
  readonly totalBytes: number;
}

/** The two times that can be set; an absent one stays as it is. */
export interface FileTimes {
  /** Last read. */
  readonly atime?: Timespec | undefined;
  /** Last change of the content. */
  readonly mtime?: Timespec | undefined;
}

/** Every processor that `libc_binding.ts` accepts stores the low byte first. */
const LITTLE_ENDIAN = true;
const WORD = 2 ** 32;
/** In place of nanoseconds: leave this time alone. utimensat(2). */
const UTIME_OMIT = 0x3ffffffe;
/** Bytes of `struct linux_dirent64` before the name. */
const DIRENT_HEAD = 19;

/** Reads a `struct statx`. */
export function readStatx(view: DataView): FileStat {
  const modeBits = view.getUint16(28, LITTLE_ENDIAN);
  return {
    type: fileTypeOf(modeBits) ?? "file",
    mode: modeBits & 0o7777,
    uid: view.getUint32(20, LITTLE_ENDIAN),
    gid: view.getUint32(24, LITTLE_ENDIAN),
    size: readUint64(view, 40),
    nlink: view.getUint32(16, LITTLE_ENDIAN),
    ino: view.getBigUint64(32, LITTLE_ENDIAN),
    dev: `${view.getUint32(136, LITTLE_ENDIAN)}:${view.getUint32(140, LITTLE_ENDIAN)}`,
    rdevMajor: view.getUint32(128, LITTLE_ENDIAN),
    rdevMinor: view.getUint32(132, LITTLE_ENDIAN),
    atime: readTime(view, 64),
    mtime: readTime(view, 112),
    ctime: readTime(view, 96),
    blocks: readUint64(view, 48),
  };
}

/** Reads a `struct statfs`. */
export function readStatfs(view: DataView): FileSystemStat {
  const blockBytes = readUint64(view, 8);
  return {
    magic: view.getUint32(0, LITTLE_ENDIAN),
    freeBytes: readUint64(view, 32) * blockBytes,
    totalBytes: readUint64(view, 16) * blockBytes,
  };
}

/** Appends what `getdents64` put into the first `length` bytes, without `.` and `..`. */
export function readDirEntries(buffer: Uint8Array, length: number, into: DirEntry[]): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset, length);
  for (let at = 0; at < length; at += view.getUint16(at + 16, LITTLE_ENDIAN)) {
    const start = at + DIRENT_HEAD;
    const name = fromBytes(buffer.subarray(start, buffer.indexOf(0, start)));
    if (name === "." || name === "..") continue;
    into.push({
      name,
      type: fileTypeOf((buffer[at + 18] ?? 0) << 12),
      ino: view.getBigUint64(at, LITTLE_ENDIAN),
    });
  }
}

/** Writes two `struct timespec`, access time first. */
export function writeTimes(view: DataView, times: FileTimes): void {
  writeTime(view, 0, times.atime);
  writeTime(view, 16, times.mtime);
}

/** Writes a `struct open_how`. */
export function writeOpenHow(view: DataView, how: { flags: number; mode: number; resolve: number }): void {
  view.setUint32(0, how.flags, LITTLE_ENDIAN);
  view.setUint32(8, how.mode, LITTLE_ENDIAN);
  view.setUint32(16, how.resolve, LITTLE_ENDIAN);
}

/** The numbers of a device node as one `dev_t`; the split of bits is glibc's `makedev(3)`. */
export function deviceNumber(major: number, minor: number): bigint {
  const high = BigInt(major >>> 12);
  const low = BigInt(major & 0xfff);
  return (high << 44n) | (BigInt(minor >>> 8) << 20n) | (low << 8n) | BigInt(minor & 0xff);
}

function readTime(view: DataView, at: number): Timespec {
  const sec = view.getInt32(at + 4, LITTLE_ENDIAN) * WORD +
    view.getUint32(at, LITTLE_ENDIAN);
  return { sec, nsec: view.getUint32(at + 8, LITTLE_ENDIAN) };
}

/** Two halves instead of a bigint: no allocation per field. Sizes beyond 2^53 do not exist on Linux. */
function readUint64(view: DataView, at: number): number {
  return view.getUint32(at + 4, LITTLE_ENDIAN) * WORD + view.getUint32(at, LITTLE_ENDIAN);
}

function writeTime(view: DataView, at: number, time: Timespec | undefined): void {
  const sec = time?.sec ?? 0;
  view.setInt32(at + 4, Math.floor(sec / WORD), LITTLE_ENDIAN);
  view.setUint32(at, sec >>> 0, LITTLE_ENDIAN);
  view.setUint32(at + 8, time?.nsec ?? UTIME_OMIT, LITTLE_ENDIAN);
  view.setUint32(at + 12, 0, LITTLE_ENDIAN);
}
