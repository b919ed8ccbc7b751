// SPDX-License-Identifier: Apache-2.0
/**
 * Project ids, by which xfs, ext4 and f2fs count what a directory and all below it use; and the flags that forbid removal.
 *
 * Both are fields of what `FS_IOC_FSGETXATTR` gives (ioctl_xfs_fsgetxattr(2), xfsctl(3)).
 *
 * @module
 */
import { dirname } from "node:path";
import { fromText } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { fromOsError, hasErrno, OsError } from "../errno.ts";
import { pathExists } from "../files.ts";
import * as libc from "../libc.ts";
import { calls, lastErrno } from "../libc_binding.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../linux.ts";
import { OpenFile } from "../open_file.ts";
import {
  FSXATTR_BYTES,
  PROJECT_ID_MAX,
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
/** No project: an id that none has. */
const NONE = PROJECT_ID_MAX + 1;

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
 * Has what is made in a directory from now on belong to the project that another directory hands on: else it could not be
 * moved there (`EXDEV`), and another would pay for it. Where that one is not there yet, the one above it tells.
 * @throws {StrataError} `NOT_SUPPORTED` in a user namespace, where nobody may set ids
 */
export function shareProject(dir: string, destination: string): void {
  if (!pathExists(destination)) return shareProject(dir, dirname(destination));
  const handed = handedOn(destination);
  if (handed === handedOn(dir)) return;
  try {
    if (handed !== NONE) return setProjectId(dir, handed);
    using handle = openDirectory(dir);
    read(handle.fd);
    writeProjectId(view, 0);
    writeXflags(view, readXflags(view) & ~XFLAG_PROJINHERIT);
    write(handle.fd);
  } catch (error) {
    if (!hasErrno(error, "EINVAL")) throw fromOsError(error, `give "${dir}" the project of "${destination}"`);
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot make in "${dir}" what is to be moved to "${destination}": both belong to different projects, and in a user ` +
        "namespace nobody may set project ids; give the whole store one project, or run as root outside",
      { feature: "project quota" },
      { cause: error },
    );
  }
}

/** The project of what is made in a directory; {@link NONE} where that is left to others, or there are no projects. */
function handedOn(dir: string): number {
  try {
    using handle = new OpenFile(libc.openat(AT_FDCWD, fromText(dir), O_RDONLY | O_DIRECTORY));
    read(handle.fd);
    return (readXflags(view) & XFLAG_PROJINHERIT) === 0 ? NONE : readProjectId(view);
  } catch (error) {
    if (hasErrno(error, "ENOTTY", "EOPNOTSUPP", "ENOSYS")) return NONE;
    throw fromOsError(error, `read the project of "${dir}"`);
  }
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
