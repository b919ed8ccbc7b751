// SPDX-License-Identifier: Apache-2.0
/**
 * The C library's functions as JavaScript functions: npm `koffi`, alike on Deno and Node and in their workers.
 *
 * Only modules of this folder use this. Importing it loads koffi if that is installed; the C library is bound at the first
 * call.
 *
 * @module
 */
import process from "node:process";
import type { LibraryHandle } from "koffi";
import { StrataError } from "../core/errors.ts";
import { errnoOf } from "./errno.ts";

/** Memory that C reads or writes. */
type Bytes = Uint8Array | null;

/** The C functions, as koffi hands them over: arguments and results of section 2 of the manual. */
export interface Calls {
  openat(dirFd: number, path: Bytes, flags: number, mode: number): number;
  syscall(number: number, dirFd: number, path: Bytes, how: Bytes, size: number): number;
  fchmodat2(number: number, dirFd: number, path: Bytes, mode: number, flags: number): number;
  open_tree(number: number, dirFd: number, path: Bytes, flags: number): number;
  move_mount(number: number, fromFd: number, from: Bytes, toFd: number, to: Bytes, flags: number): number;
  mount_setattr(number: number, dirFd: number, path: Bytes, flags: number, attributes: Bytes, size: number): number;
  close(fd: number): number;
  read(fd: number, into: Bytes, length: number): number;
  pread(fd: number, into: Bytes, length: number, position: number): number;
  write(fd: number, bytes: Bytes, length: number): number;
  pwrite(fd: number, bytes: Bytes, length: number, position: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  ftruncate(fd: number, size: number): number;
  fsync(fd: number): number;
  syncfs(fd: number): number;
  mkdirat(dirFd: number, path: Bytes, mode: number): number;
  symlinkat(target: Bytes, dirFd: number, path: Bytes): number;
  linkat(fromFd: number, from: Bytes, toFd: number, to: Bytes, flags: number): number;
  mknodat(dirFd: number, path: Bytes, mode: number, device: bigint): number;
  unlinkat(dirFd: number, path: Bytes, flags: number): number;
  renameat2(fromFd: number, from: Bytes, toFd: number, to: Bytes, flags: number): number;
  readlinkat(dirFd: number, path: Bytes, into: Bytes, length: number): number;
  fchownat(dirFd: number, path: Bytes, uid: number, gid: number, flags: number): number;
  fchown(fd: number, uid: number, gid: number): number;
  fchmod(fd: number, mode: number): number;
  chmod(path: Bytes, mode: number): number;
  utimensat(dirFd: number, path: Bytes, times: Bytes, flags: number): number;
  futimens(fd: number, times: Bytes): number;
  statx(dirFd: number, path: Bytes, flags: number, mask: number, into: Bytes): number;
  fstatfs(fd: number, into: Bytes): number;
  getdents64(fd: number, into: Bytes, length: number): number;
  llistxattr(path: Bytes, into: Bytes, length: number): number;
  flistxattr(fd: number, into: Bytes, length: number): number;
  lgetxattr(path: Bytes, name: Bytes, into: Bytes, length: number): number;
  fgetxattr(fd: number, name: Bytes, into: Bytes, length: number): number;
  lsetxattr(path: Bytes, name: Bytes, value: Bytes, length: number, flags: number): number;
  fsetxattr(fd: number, name: Bytes, value: Bytes, length: number, flags: number): number;
  lremovexattr(path: Bytes, name: Bytes): number;
  fremovexattr(fd: number, name: Bytes): number;
  flock(fd: number, operation: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  ioctlBytes(fd: number, request: number, argument: Bytes): number;
  quotactl(command: number, special: Bytes, id: number, address: Bytes): number;
  quotactl_fd(number: number, fd: number, command: number, id: number, address: Bytes): number;
  copy_file_range(fromFd: number, from: Bytes, toFd: number, to: Bytes, length: number, flags: number): number;
  geteuid(): number;
}

/**
 * koffi, or why it cannot be had. It is imported dynamically so that a missing binary becomes an error that says so, at
 * the first call instead of at start.
 */
const koffi = await import("koffi").catch((cause: unknown) => ({ cause }));

/** Processors of which `kernel_structs.ts` knows the layouts: 64 bits, low byte first. */
const ARCHITECTURES: readonly string[] = ["x64", "arm64", "riscv64", "loong64"];

/**
 * What the runtime's own locks leave in `errno` when they are used between a call's end and the reading of its number.
 * futex(2), ERRORS. None of them is what a call has to say, or it may be tried again.
 */
const STRAY: readonly number[] = ["EAGAIN", "EINTR"].map(errnoOf);
/** A call is not interrupted that often; where the number is the call's own all the same, it is the answer. */
const ATTEMPTS_MAX = 16;

let bound: Calls | undefined;
let failure = errnoOf("ENOSYS");

/**
 * The functions, bound at the first call.
 * @throws {StrataError} `NOT_SUPPORTED` without koffi, or on a system other than Linux
 */
export function calls(): Calls {
  return bound ??= bind();
}

/** The error number of the call that failed last. */
export function lastErrno(): number {
  return failure;
}

function bind(): Calls {
  if ("cause" in koffi) throw notSupported("koffi", "the npm package koffi with its binary for this platform", koffi);
  if (process.platform !== "linux" || !ARCHITECTURES.includes(process.arch)) {
    throw notSupported("Linux system calls", `Linux on ${ARCHITECTURES.join(", ")}`);
  }
  try {
    return declare(koffi.load(null), koffi.errno);
  } catch (cause) {
    throw notSupported("the C library", "a C library with glibc 2.30's functions", { cause });
  }
}

/** Declares what is used. Variadic functions are declared with fixed integers, which Linux ABIs pass alike. */
function declare(libc: LibraryHandle, errno: () => number): Calls {
  const once = (name: string, result: string, ...types: string[]) => kept(libc.func(name, result, types), errno);
  const f = (name: string, result: string, ...types: string[]) => repeated(once(name, result, ...types));
  const [int, uint, ptr, size, off] = ["int", "unsigned int", "void *", "size_t", "int64_t"] as const;
  return {
    openat: f("openat", int, int, ptr, int, uint),
    syscall: once("syscall", "long", "long", int, ptr, ptr, size),
    fchmodat2: f("syscall", "long", "long", int, ptr, uint, int),
    open_tree: f("syscall", "long", "long", int, ptr, uint),
    move_mount: f("syscall", "long", "long", int, ptr, int, ptr, uint),
    mount_setattr: f("syscall", "long", "long", int, ptr, uint, ptr, size),
    close: once("close", int, int),
    read: f("read", off, int, ptr, size),
    pread: f("pread", off, int, ptr, size, off),
    write: f("write", off, int, ptr, size),
    pwrite: f("pwrite", off, int, ptr, size, off),
    lseek: f("lseek", off, int, off, int),
    ftruncate: f("ftruncate", int, int, off),
    fsync: once("fsync", int, int),
    syncfs: once("syncfs", int, int),
    mkdirat: f("mkdirat", int, int, ptr, uint),
    symlinkat: f("symlinkat", int, ptr, int, ptr),
    linkat: f("linkat", int, int, ptr, int, ptr, int),
    mknodat: f("mknodat", int, int, ptr, uint, "uint64_t"),
    unlinkat: f("unlinkat", int, int, ptr, int),
    renameat2: f("renameat2", int, int, ptr, int, ptr, uint),
    readlinkat: f("readlinkat", off, int, ptr, ptr, size),
    fchownat: f("fchownat", int, int, ptr, uint, uint, int),
    fchown: f("fchown", int, int, uint, uint),
    fchmod: f("fchmod", int, int, uint),
    chmod: f("chmod", int, ptr, uint),
    utimensat: f("utimensat", int, int, ptr, ptr, int),
    futimens: f("futimens", int, int, ptr),
    statx: f("statx", int, int, ptr, int, uint, ptr),
    fstatfs: f("fstatfs", int, int, ptr),
    getdents64: f("getdents64", off, int, ptr, size),
    llistxattr: f("llistxattr", off, ptr, ptr, size),
    flistxattr: f("flistxattr", off, int, ptr, size),
    lgetxattr: f("lgetxattr", off, ptr, ptr, ptr, size),
    fgetxattr: f("fgetxattr", off, int, ptr, ptr, size),
    lsetxattr: f("lsetxattr", int, ptr, ptr, ptr, size, int),
    fsetxattr: f("fsetxattr", int, int, ptr, ptr, size, int),
    lremovexattr: f("lremovexattr", int, ptr, ptr),
    fremovexattr: f("fremovexattr", int, int, ptr),
    flock: once("flock", int, int, int),
    ioctl: f("ioctl", int, int, "unsigned long", int),
    ioctlBytes: f("ioctl", int, int, "unsigned long", ptr),
    quotactl: f("quotactl", int, int, ptr, uint, ptr),
    quotactl_fd: f("syscall", "long", "long", uint, uint, uint, ptr),
    copy_file_range: f("copy_file_range", off, int, ptr, int, ptr, size, uint),
    geteuid: f("geteuid", uint),
  };
}

type Call = (...args: unknown[]) => number;

/** Reads the error number at once, before the runtime does anything else that sets it. */
function kept(call: Call, errno: () => number): Call {
  return (...args) => {
    const result = call(...args);
    if (result < 0) failure = errno();
    return result;
  };
}

/**
 * Repeats a call that has failed, and so has done nothing, while its error may be another's. Not for `close`, which frees the
 * number even then, and not for a sync, which tells of an error once.
 */
function repeated(call: Call): Call {
  return (...args) => {
    for (let attempt = 1;; attempt++) {
      const result = call(...args);
      if (result >= 0 || !STRAY.includes(failure) || attempt === ATTEMPTS_MAX) return result;
    }
  };
}

/** The error for something that this system lacks. */
export function notSupported(feature: string, needed: string, options: { cause?: unknown } = {}): StrataError {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot work on files: ${feature} cannot be used here; provide ${needed}`,
    { feature },
    options,
  );
}
