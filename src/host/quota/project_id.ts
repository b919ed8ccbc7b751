// SPDX-License-Identifier: Apache-2.0
/**
 * Project ids, by which xfs, ext4 and f2fs count what a directory and all below it use; and the flags that forbid removal.
 *
 * Both are fields of what `FS_IOC_FSGETXATTR` gives (ioctl_xfs_fsgetxattr(2), xfsctl(3)).
 *
 * @module
 */
import { fromText } from "../../core/bytes.ts";
import { OsError } from "../errno.ts";
import * as libc from "../libc.ts";
import { calls, lastErrno } from "../libc_binding.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../linux.ts";
import { OpenFile } from "../open_file.ts";
import {
  FSXATTR_BYTES,
  readProjectId,
  readXflags,
  writeProjectId,
  writeXflags,
  XFLAG_APPEND,
  XFLAG_IMMUTABLE,
  XFLAG_PROJINHERIT,
} from "./quota_structs.ts";

const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;

const bytes = new Uint8Array(FSXATTR_BYTES);
const view = new DataView(bytes.buffer);

/**
 * A directory's project id; 0 is that of all that nobody gave one.
 * @throws {OsError} `ENOTTY`, `EOPNOTSUPP` where the file system has no such ids
 */
export function projectIdOf(dir: string): number {
  using handle = openDirectory(dir);
  read(handle.fd);
  return readProjectId(view);
}

/**
 * Gives a directory a project id, which all that is made in it from now on gets, too.
 * @throws {OsError} `EOPNOTSUPP` where the file system has no such ids, `EINVAL` in a user namespace
 */
export function setProjectId(dir: string, id: number): void {
  using handle = openDirectory(dir);
  read(handle.fd);
  writeProjectId(view, id);
  writeXflags(view, readXflags(view) | XFLAG_PROJINHERIT);
  write(handle.fd);
}

/**
 * Takes from an open file or directory what keeps it from being removed (chattr(1), `i` and `a`).
 * @returns whether it had any such flag
 * @throws {OsError}
 */
export function allowRemoval(fd: number): boolean {
  read(fd);
  const flags = readXflags(view);
  const without = flags & ~(XFLAG_IMMUTABLE | XFLAG_APPEND);
  if (without === flags) return false;
  writeXflags(view, without);
  write(fd);
  return true;
}

function openDirectory(path: string): OpenFile {
  return new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
}

function read(fd: number): void {
  if (calls().ioctlBytes(fd, FS_IOC_FSGETXATTR, bytes) < 0) throw new OsError(lastErrno(), "FS_IOC_FSGETXATTR");
}

function write(fd: number): void {
  if (calls().ioctlBytes(fd, FS_IOC_FSSETXATTR, bytes) < 0) throw new OsError(lastErrno(), "FS_IOC_FSSETXATTR");
}
