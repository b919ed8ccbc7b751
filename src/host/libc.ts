// SPDX-License-Identifier: Apache-2.0
/**
 * The system calls that neither runtime offers.
 *
 * Each function is one call of the same name in section 2 of the Linux manual, retried on `EINTR`; a failure is an
 * {@link OsError}. Paths cross as bytes. All calls are synchronous and share preallocated buffers, which is safe because
 * a worker runs one at a time and has this module to itself. Arguments are positional as in C: these are hot.
 *
 * @module
 */
import { type ByteString, display, fromBytes } from "../core/bytes.ts";
import type { FileStat } from "../core/file_stat.ts";
import { errnoOf, OsError } from "./errno.ts";
import {
  type DirEntry,
  type FileSystemStat,
  type FileTimes,
  OPEN_HOW_BYTES,
  readDirEntries,
  readStatfs,
  readStatx,
  STATFS_BYTES,
  STATX_BYTES,
  TIMES_BYTES,
  writeOpenHow,
  writeTimes,
} from "./kernel_structs.ts";
import { calls, lastErrno, notSupported } from "./libc_binding.ts";
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, O_CLOEXEC } from "./linux.ts";

/** Numbers that every supported processor shares. */
const SYS_OPENAT2 = 437;
const SYS_FCHMODAT2 = 452;
const FICLONE = 0x40049409;
const STATX_BASIC_STATS = 0x7ff;
const PATH_MAX = 4096;
/** As libpathrs does: more failures than that mean an attack, not a coincidence. */
const OPENAT2_ATTEMPTS_MAX = 128;
const ID_NONE = 0xffffffff;

const EINTR = errnoOf("EINTR");
const EAGAIN = errnoOf("EAGAIN");
const EINVAL = errnoOf("EINVAL");
const ENAMETOOLONG = errnoOf("ENAMETOOLONG");
const ENODATA = errnoOf("ENODATA");
const ENOENT = errnoOf("ENOENT");
const ENOSYS = errnoOf("ENOSYS");
const ENOTDIR = errnoOf("ENOTDIR");
const ENXIO = errnoOf("ENXIO");
const EOPNOTSUPP = errnoOf("EOPNOTSUPP");
const EPERM = errnoOf("EPERM");
/** What file systems answer when they cannot share or copy blocks between two files. */
const UNSUPPORTED_COPY: readonly number[] = ["EOPNOTSUPP", "EXDEV", "EINVAL", "ENOSYS", "ENOTTY"].map(errnoOf);

const pathBytesA = new Uint8Array(PATH_MAX);
const pathBytesB = new Uint8Array(PATH_MAX);
const howBytes = new Uint8Array(OPEN_HOW_BYTES);
const howView = new DataView(howBytes.buffer);
const statxBytes = new Uint8Array(STATX_BYTES);
const statxView = new DataView(statxBytes.buffer);
const statfsBytes = new Uint8Array(STATFS_BYTES);
const statfsView = new DataView(statfsBytes.buffer);
const timesBytes = new Uint8Array(TIMES_BYTES);
const timesView = new DataView(timesBytes.buffer);
/** Directory entries, attribute names and values: the kernel bounds each list and value by this (`XATTR_SIZE_MAX`). */
const bulk = new Uint8Array(64 * 1024);

/** The empty path, which with a handle and {@link AT_EMPTY_PATH} means the handle itself. */
const ITSELF: ByteString = fromBytes(new Uint8Array(0));

/** Opens `path` below the directory `dirFd`, close-on-exec. */
export function openat(dirFd: number, path: ByteString, flags: number, mode = 0): number {
  return check(retried(() => calls().openat(dirFd, pathA(path), flags | O_CLOEXEC, mode)), "openat", path);
}

/**
 * Opens `path` below the directory `dirFd`, close-on-exec, resolved under the `RESOLVE_…` flags.
 * @throws {StrataError} `NOT_SUPPORTED` when the kernel or a sandbox refuses the call as such
 */
export function openat2(dirFd: number, path: ByteString, flags: number, resolve: number): number {
  writeOpenHow(howView, { flags: flags | O_CLOEXEC, mode: 0, resolve });
  const name = pathA(path);
  for (let attempt = 1;; attempt++) {
    const fd = calls().syscall(SYS_OPENAT2, dirFd, name, howBytes, OPEN_HOW_BYTES);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    // EAGAIN: a rename elsewhere raced with a ".." step; the kernel asks to try again (openat2(2), ERRORS).
    if ((errno === EINTR || errno === EAGAIN) && attempt < OPENAT2_ATTEMPTS_MAX) continue;
    if (errno === ENOSYS) throw notSupported("openat2", "Linux 5.6 or newer, and a sandbox that allows openat2");
    throw new OsError(errno, "openat2", display(path));
  }
}

/** Closes a handle. Never retried: Linux frees the number even when it reports an error. */
export function close(fd: number): void {
  check(calls().close(fd), "close");
}

/** Reads at the handle's position; returns how many bytes came, 0 at the end. */
export function read(fd: number, into: Uint8Array): number {
  return check(retried(() => calls().read(fd, into, into.byteLength)), "read");
}

/** Reads at `position`; returns how many bytes came, 0 at the end. */
export function pread(fd: number, into: Uint8Array, position: number): number {
  return check(retried(() => calls().pread(fd, into, into.byteLength, position)), "pread");
}

/** Writes at the handle's position; returns how many bytes were taken. */
export function write(fd: number, bytes: Uint8Array): number {
  return check(retried(() => calls().write(fd, bytes, bytes.byteLength)), "write");
}

/** Writes at `position`; returns how many bytes were taken. */
export function pwrite(fd: number, bytes: Uint8Array, position: number): number {
  return check(retried(() => calls().pwrite(fd, bytes, bytes.byteLength, position)), "pwrite");
}

/** Moves the handle's position; `undefined` where `SEEK_DATA` finds no more data (`ENXIO`). */
export function lseek(fd: number, offset: number, whence: number): number | undefined {
  const position = calls().lseek(fd, offset, whence);
  if (position < 0 && lastErrno() === ENXIO) return undefined;
  return check(position, "lseek");
}

/** Sets a file's size. */
export function ftruncate(fd: number, size: number): void {
  check(retried(() => calls().ftruncate(fd, size)), "ftruncate");
}

/** Waits until a file's content and metadata are on the device. */
export function fsync(fd: number): void {
  check(retried(() => calls().fsync(fd)), "fsync");
}

/** Waits until all of the file system that holds `fd` is on the device. */
export function syncfs(fd: number): void {
  check(retried(() => calls().syncfs(fd)), "syncfs");
}

/** Makes a directory; its mode passes the umask. */
export function mkdirat(dirFd: number, path: ByteString, mode: number): void {
  check(calls().mkdirat(dirFd, pathA(path), mode), "mkdirat", path);
}

/** Makes a symlink with `target` as its content. */
export function symlinkat(target: ByteString, dirFd: number, path: ByteString): void {
  check(calls().symlinkat(pathB(target), dirFd, pathA(path)), "symlinkat", path);
}

/** Gives an object a second name; neither name's final symlink is followed, unless `AT_SYMLINK_FOLLOW` says so. */
export function linkat(fromFd: number, from: ByteString, toFd: number, to: ByteString, flags = 0): void {
  check(calls().linkat(fromFd, pathA(from), toFd, pathB(to), flags), "linkat", to);
}

/** Makes a device, fifo or socket; `mode` carries the type bits, and passes the umask. */
export function mknodat(dirFd: number, path: ByteString, mode: number, device: bigint): void {
  check(calls().mknodat(dirFd, pathA(path), mode, device), "mknodat", path);
}

/** Removes a name; with `AT_REMOVEDIR` an empty directory. */
export function unlinkat(dirFd: number, path: ByteString, flags: number): void {
  check(calls().unlinkat(dirFd, pathA(path), flags), "unlinkat", path);
}

/** Moves a name, under the `RENAME_…` flags. */
export function renameat2(fromFd: number, from: ByteString, toFd: number, to: ByteString, flags: number): void {
  check(calls().renameat2(fromFd, pathA(from), toFd, pathB(to), flags), "renameat2", to);
}

/** A symlink's content. */
export function readlinkat(dirFd: number, path: ByteString): ByteString {
  const length = check(calls().readlinkat(dirFd, pathA(path), pathBytesB, PATH_MAX), "readlinkat", path);
  return fromBytes(pathBytesB.subarray(0, length));
}

/** Sets an object's owner, its final symlink not followed. */
export function fchownat(dirFd: number, path: ByteString, uid: number, gid: number): void {
  checkIds(uid, gid, "fchownat");
  check(calls().fchownat(dirFd, pathA(path), uid, gid, AT_SYMLINK_NOFOLLOW), "fchownat", path);
}

/** Sets an open file's owner. */
export function fchown(fd: number, uid: number, gid: number): void {
  checkIds(uid, gid, "fchown");
  check(calls().fchown(fd, uid, gid), "fchown");
}

/** Sets an open file's mode, whatever the umask. */
export function fchmod(fd: number, mode: number): void {
  check(calls().fchmod(fd, mode), "fchmod");
}

/**
 * Sets an object's mode without following its final symlink. Only Linux 6.6 and newer have it.
 * @returns false when kernel or sandbox lack the call
 */
export function fchmodat2(dirFd: number, path: ByteString, mode: number): boolean {
  if (calls().fchmodat2(SYS_FCHMODAT2, dirFd, pathA(path), mode, AT_SYMLINK_NOFOLLOW) === 0) return true;
  const errno = lastErrno();
  // Older seccomp profiles answer EPERM for calls that they do not know.
  if (errno === ENOSYS || errno === EPERM) return false;
  throw new OsError(errno, "fchmodat2", display(path));
}

/** Sets a mode through a path that this process made itself, such as `/proc/self/fd/N`. Follows symlinks. */
export function chmod(path: ByteString, mode: number): void {
  check(calls().chmod(pathA(path), mode), "chmod", path);
}

/** Sets an object's times, its final symlink not followed. */
export function utimensat(dirFd: number, path: ByteString, times: FileTimes): void {
  writeTimes(timesView, times);
  check(calls().utimensat(dirFd, pathA(path), timesBytes, AT_SYMLINK_NOFOLLOW), "utimensat", path);
}

/** Sets an open file's times. */
export function futimens(fd: number, times: FileTimes): void {
  writeTimes(timesView, times);
  check(calls().futimens(fd, timesBytes), "futimens");
}

/** What an object is, its final symlink not followed; `undefined` when there is none (`ENOENT`, `ENOTDIR`). */
export function statx(dirFd: number, path: ByteString): FileStat | undefined {
  const result = calls().statx(dirFd, pathA(path), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, statxBytes);
  if (result < 0) {
    const errno = lastErrno();
    if (errno === ENOENT || errno === ENOTDIR) return undefined;
    throw new OsError(errno, "statx", display(path));
  }
  return readStatx(statxView);
}

/** What an open handle is. */
export function fstatx(fd: number): FileStat {
  check(calls().statx(fd, pathA(ITSELF), AT_EMPTY_PATH, STATX_BASIC_STATS, statxBytes), "statx");
  return readStatx(statxView);
}

/** What the file system is that holds `fd`. */
export function fstatfs(fd: number): FileSystemStat {
  check(retried(() => calls().fstatfs(fd, statfsBytes)), "fstatfs");
  return readStatfs(statfsView);
}

/** All entries of an open directory, in the file system's order, without `.` and `..`. */
export function getdents64(fd: number): DirEntry[] {
  const entries: DirEntry[] = [];
  for (;;) {
    const length = check(calls().getdents64(fd, bulk, bulk.byteLength), "getdents64");
    if (length === 0) return entries;
    readDirEntries(bulk, length, entries);
  }
}

/** Names of an object's attributes, its final symlink not followed; none where there is no support for any. */
export function llistxattr(path: ByteString): ByteString[] {
  return attributeNames(calls().llistxattr(pathA(path), bulk, bulk.byteLength), "llistxattr", path);
}

/** Names of an open file's attributes; none where there is no support for any. */
export function flistxattr(fd: number): ByteString[] {
  return attributeNames(calls().flistxattr(fd, bulk, bulk.byteLength), "flistxattr");
}

/** An attribute's value, the final symlink not followed; `undefined` when it does not exist. */
export function lgetxattr(path: ByteString, name: ByteString): Uint8Array | undefined {
  return attributeValue(calls().lgetxattr(pathA(path), pathB(name), bulk, bulk.byteLength), "lgetxattr", path);
}

/** An attribute's value; `undefined` when it does not exist. */
export function fgetxattr(fd: number, name: ByteString): Uint8Array | undefined {
  return attributeValue(calls().fgetxattr(fd, pathB(name), bulk, bulk.byteLength), "fgetxattr");
}

/** Sets an attribute, the final symlink not followed. */
export function lsetxattr(path: ByteString, name: ByteString, value: Uint8Array): void {
  check(calls().lsetxattr(pathA(path), pathB(name), value, value.byteLength, 0), "lsetxattr", name);
}

/** Sets an open file's attribute. */
export function fsetxattr(fd: number, name: ByteString, value: Uint8Array): void {
  check(calls().fsetxattr(fd, pathB(name), value, value.byteLength, 0), "fsetxattr", name);
}

/** Removes an attribute, the final symlink not followed. */
export function lremovexattr(path: ByteString, name: ByteString): void {
  check(calls().lremovexattr(pathA(path), pathB(name)), "lremovexattr", name);
}

/** Removes an open file's attribute. */
export function fremovexattr(fd: number, name: ByteString): void {
  check(calls().fremovexattr(fd, pathB(name)), "fremovexattr", name);
}

/**
 * Takes or gives back a lock on an open file.
 * @returns false when another handle holds it and `LOCK_NB` was given
 */
export function flock(fd: number, operation: number): boolean {
  if (retried(() => calls().flock(fd, operation)) === 0) return true;
  const errno = lastErrno();
  if (errno === EAGAIN) return false;
  throw new OsError(errno, "flock");
}

/**
 * Makes `toFd` share all of `fromFd`'s blocks. ioctl_ficlone(2).
 * @returns false when the file system cannot, or both lie on different ones
 */
export function ficlone(toFd: number, fromFd: number): boolean {
  if (calls().ioctl(toFd, FICLONE, fromFd) === 0) return true;
  return falseWhenUnsupported("ficlone");
}

/**
 * Copies up to `length` bytes between the two handles' positions inside the kernel.
 * @returns the bytes copied, 0 at the end; `undefined` when the kernel cannot do it for these two
 */
export function copyFileRange(fromFd: number, toFd: number, length: number): number | undefined {
  const copied = retried(() => calls().copy_file_range(fromFd, null, toFd, null, length, 0));
  if (copied >= 0) return copied;
  falseWhenUnsupported("copy_file_range");
  return undefined;
}

/** The effective user of this process. */
export function geteuid(): number {
  return calls().geteuid();
}

function check(result: number, syscall: string, path?: ByteString): number {
  if (result >= 0) return result;
  throw new OsError(lastErrno(), syscall, path === undefined ? undefined : display(path));
}

function retried(call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0 || lastErrno() !== EINTR) return result;
  }
}

/** Ids from an archive can be any number; cut to 32 bits, 2^32 would be root, and 2^32-1 means "leave as it is". */
function checkIds(uid: number, gid: number, syscall: string): void {
  if (!isId(uid) || !isId(gid)) throw new OsError(EINVAL, syscall, `owner ${uid}:${gid}`);
}

function isId(id: number): boolean {
  return Number.isInteger(id) && id >= 0 && id < ID_NONE;
}

function attributeNames(length: number, syscall: string, path?: ByteString): ByteString[] {
  if (length < 0 && lastErrno() === EOPNOTSUPP) return [];
  check(length, syscall, path);
  const names: ByteString[] = [];
  for (let start = 0; start < length;) {
    const end = bulk.indexOf(0, start);
    names.push(fromBytes(bulk.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

function attributeValue(length: number, syscall: string, path?: ByteString): Uint8Array | undefined {
  if (length < 0 && lastErrno() === ENODATA) return undefined;
  return bulk.slice(0, check(length, syscall, path));
}

function falseWhenUnsupported(syscall: string): false {
  const errno = lastErrno();
  if (UNSUPPORTED_COPY.includes(errno)) return false;
  throw new OsError(errno, syscall);
}

function pathA(path: ByteString): Uint8Array {
  return terminated(path, pathBytesA);
}

function pathB(path: ByteString): Uint8Array {
  return terminated(path, pathBytesB);
}

/** The path with a NUL behind it. A NUL inside would silently name another file. */
function terminated(path: ByteString, into: Uint8Array): Uint8Array {
  if (path.length >= PATH_MAX) throw new OsError(ENAMETOOLONG, "path", display(path));
  for (let i = 0; i < path.length; i++) {
    const byte = path.charCodeAt(i);
    if (byte === 0) throw new OsError(EINVAL, "path", display(path));
    into[i] = byte;
  }
  into[path.length] = 0;
  return into;
}
