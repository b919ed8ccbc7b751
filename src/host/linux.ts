// SPDX-License-Identifier: Apache-2.0
/**
 * Numbers of the Linux system call interface that both runtimes lack, or name differently.
 *
 * Values: `<fcntl.h>`, `<sys/stat.h>` and `<linux/openat2.h>`; those that differ between processors come from the
 * runtime's own table.
 *
 * @module
 */
import { constants } from "node:fs";
import type { FileType } from "../core/file_stat.ts";

/** Open for reading. */
export const O_RDONLY = 0;
/** Open for writing. */
export const O_WRONLY = 1;
/** Open for both. */
export const O_RDWR = 2;
/** Create when absent. */
export const O_CREAT: number = constants.O_CREAT;
/** With {@link O_CREAT}: fail when anything is there, also a dangling symlink. */
export const O_EXCL: number = constants.O_EXCL;
/** Cut to nothing. */
export const O_TRUNC: number = constants.O_TRUNC;
/** Refuse what is no directory. */
export const O_DIRECTORY: number = constants.O_DIRECTORY;
/** Refuse a symlink as last component. */
export const O_NOFOLLOW: number = constants.O_NOFOLLOW;
/** Do not wait for a fifo's other end. */
export const O_NONBLOCK: number = constants.O_NONBLOCK;
/** Never become this process's terminal. */
export const O_NOCTTY: number = constants.O_NOCTTY;
/** Do not leak into programs that are run. */
export const O_CLOEXEC = 0o2000000;
/** A handle on the place, without access to the content. */
export const O_PATH = 0o10000000;

/** In place of a directory: the working directory. Only absolute paths are used with it here. */
export const AT_FDCWD = -100;
/** Act on a symlink itself. */
export const AT_SYMLINK_NOFOLLOW = 0x100;
/** `linkat` follows the old name's final symlink, which /proc has for open files. */
export const AT_SYMLINK_FOLLOW = 0x400;
/** `unlinkat` removes a directory. */
export const AT_REMOVEDIR = 0x200;
/** An empty path means the handle itself. */
export const AT_EMPTY_PATH = 0x1000;

/** `openat2`: no step may leave the file system mounted at the start. */
export const RESOLVE_NO_XDEV = 0x01;
/** `openat2`: never follow links of the /proc kind. */
export const RESOLVE_NO_MAGICLINKS = 0x02;
/** `openat2`: follow no symlink at all. */
export const RESOLVE_NO_SYMLINKS = 0x04;
/** `openat2`: no step may leave the start, neither by `..` nor by a symlink. */
export const RESOLVE_BENEATH = 0x08;
/** `openat2`: the start is the root directory, for `..` and for absolute symlinks. */
export const RESOLVE_IN_ROOT = 0x10;

/** `renameat2`: fail when the new name is taken. */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** `lseek`: from the start. */
export const SEEK_SET = 0;
/** `lseek`: next byte that is not in a hole. */
export const SEEK_DATA = 3;
/** `lseek`: next hole. */
export const SEEK_HOLE = 4;

/** `flock`: shared. */
export const LOCK_SH = 1;
/** `flock`: exclusive. */
export const LOCK_EX = 2;
/** `flock`: fail instead of waiting. */
export const LOCK_NB = 4;
/** `flock`: give it back. */
export const LOCK_UN = 8;

/** File type bits of a mode. */
export const S_IFMT = 0o170000;
/** File type bits of each type. */
export const TYPE_BITS: Readonly<Record<FileType, number>> = {
  fifo: 0o010000,
  char: 0o020000,
  dir: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

const TYPES_BY_BITS: readonly (FileType | undefined)[] = typesByBits();

/** The type that these mode bits mean; `undefined` for none of the seven. Also right for `d_type << 12`. */
export function fileTypeOf(modeBits: number): FileType | undefined {
  return TYPES_BY_BITS[(modeBits & S_IFMT) >> 12];
}

function typesByBits(): (FileType | undefined)[] {
  const table: (FileType | undefined)[] = new Array(16).fill(undefined);
  for (const type of ["fifo", "char", "dir", "block", "file", "symlink", "socket"] as const) {
    table[TYPE_BITS[type] >> 12] = type;
  }
  return table;
}

/** `ioctl`: a handle on the user namespace that owns a namespace. ioctl_ns(2). */
export const NS_GET_USERNS = 0xb701;
