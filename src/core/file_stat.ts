// SPDX-License-Identifier: Apache-2.0
/**
 * What is known of a file system object, in the units in which tar, overlayfs and the kernel agree.
 *
 * @module
 */

/** What an object is. */
export type FileType = "file" | "dir" | "symlink" | "char" | "block" | "fifo" | "socket";

/** A point in time since 1970, exact to the nanosecond: `sec` may be negative, `nsec` is 0 to 999,999,999. */
export interface Timespec {
  /** Whole seconds. */
  readonly sec: number;
  /** Nanoseconds on top. */
  readonly nsec: number;
}

/** What `statx(2)` tells of an object, the final symlink not followed. */
export interface FileStat {
  /** What it is. */
  readonly type: FileType;
  /** Permission bits with setuid, setgid and sticky: `mode & 0o7777`. */
  readonly mode: number;
  /** Owner. */
  readonly uid: number;
  /** Group. */
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Names that it has. */
  readonly nlink: number;
  /** Inode number; 64 bits, so not a `number`. */
  readonly ino: bigint;
  /** Device of the file system, `major:minor`. With `ino` it identifies the object. */
  readonly dev: string;
  /** A device node's own major number; 0 for other types. */
  readonly rdevMajor: number;
  /** A device node's own minor number; 0 for other types. */
  readonly rdevMinor: number;
  /** When it was read. */
  readonly atime: Timespec;
  /** When its content was changed. */
  readonly mtime: Timespec;
  /** When anything of it was changed; the kernel's own, which nobody can set. */
  readonly ctime: Timespec;
  /** 512-byte blocks on disk. */
  readonly blocks: number;
}

/** Key under which hard links of one object are the same. */
export function inodeKey(stat: FileStat): string {
  return `${stat.dev}/${stat.ino}`;
}

/** True when both are the same instant, to the nanosecond. */
export function sameTime(a: Timespec, b: Timespec): boolean {
  return a.sec === b.sec && a.nsec === b.nsec;
}
