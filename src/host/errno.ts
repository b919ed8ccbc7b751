// SPDX-License-Identifier: Apache-2.0
/**
 * Failures of the operating system: raw ones for this package's own branches, and their public form.
 *
 * Meaning of the codes: errno(3).
 *
 * @module
 */
import { constants } from "node:os";
import { isStrataError, StrataError } from "../core/errors.ts";

/** A system call failed. Caught and judged inside the package; callers get it as the cause of a StrataError. */
export class OsError extends Error {
  override readonly name = "OsError";
  /** The number, positive. */
  readonly errno: number;
  /** The name, such as `ENOENT`. */
  readonly code: string;
  /** The call that failed. */
  readonly syscall: string;
  /** What it was about, in a form for people; for calls below a directory handle the last component only. */
  readonly path: string | undefined;

  constructor(errno: number, syscall: string, path?: string) {
    const code = errnoName(errno);
    super(`${syscall}${path === undefined ? "" : ` "${path}"`}: ${REASONS[code] ?? "failed"} (${code})`);
    this.errno = errno;
    this.code = code;
    this.syscall = syscall;
    this.path = path;
  }
}

/** True for a failed system call; with codes, for one of these only. */
export function isOsError(error: unknown, ...codes: string[]): error is OsError {
  return error instanceof OsError && (codes.length === 0 || codes.includes(error.code));
}

/** True for a failure with one of these codes, whether this package's calls or `node:fs` reported it. */
export function hasErrno(error: unknown, ...codes: string[]): boolean {
  const code = failureOf(error)?.code;
  return code !== undefined && codes.includes(code);
}

/** The number of a named code, such as `ENOENT`; 0 when this system has none. */
export function errnoOf(code: string): number {
  return new Map<string, number>(Object.entries(constants.errno)).get(code) ?? 0;
}

/**
 * The public form of a failure: what could not be done, why, and what helps. A StrataError is returned as it is.
 * @param action completes "Cannot …"
 */
export function fromOsError(error: unknown, action: string): StrataError {
  if (isStrataError(error)) return error;
  const failure = failureOf(error);
  if (failure === undefined) {
    const reason = error instanceof Error ? error.message : String(error);
    return new StrataError("IO", `Cannot ${action}: ${reason}`, {}, { cause: error });
  }
  const { code, syscall, path } = failure;
  const reason = `${REASONS[code] ?? "the system call failed"} (${code}${syscall === undefined ? "" : `, ${syscall}`})`;
  const at = path === undefined ? "" : ` at "${path}"`;
  const message = (advice: string) => `Cannot ${action}: ${reason}${at}; ${advice}`;
  const where = path === undefined ? {} : { path };
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return new StrataError("NO_SPACE", message("free space or inodes on that file system, or raise the quota"), {
        path: path ?? "",
      }, { cause: error });
    case "EPERM":
    case "EACCES":
    case "EROFS":
      return new StrataError("NOT_PERMITTED", message("run as root, or choose a directory that this user may write"), {
        ...where,
      }, { cause: error });
    case "ENOSYS":
    case "EOPNOTSUPP":
    case "ENOTSUP":
      return new StrataError("NOT_SUPPORTED", message("use another file system, or a newer kernel"), {
        feature: syscall ?? action,
      }, { cause: error });
    default: {
      const detail = { errno: code, ...where, ...(syscall === undefined ? {} : { syscall }) };
      return new StrataError("IO", message(ADVICE[code] ?? "see the system's log for the cause"), detail, {
        cause: error,
      });
    }
  }
}

interface Failure {
  readonly code: string;
  readonly syscall: string | undefined;
  readonly path: string | undefined;
}

/** Plain words for the codes that people meet. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EAGAIN: "the resource is busy",
  EBUSY: "it is in use or a mount point",
  ECONNABORTED: "the program that serves this mount has ended",
  EDQUOT: "the disk quota is used up",
  EEXIST: "the name is taken",
  EFBIG: "the file is too large for the file system",
  EINVAL: "the file system refuses the value",
  EIO: "the device failed",
  EISDIR: "it is a directory",
  ELOOP: "a symbolic link stands in the way",
  EMFILE: "too many files are open in this process",
  EMLINK: "the object has too many hard links",
  ENAMETOOLONG: "the name is too long",
  ENFILE: "too many files are open on this machine",
  ENODATA: "the attribute does not exist",
  ENOENT: "no such file or directory",
  ENOSPC: "no space is left",
  ENOSYS: "the kernel lacks the call",
  ENOTCONN: "the program that serves this mount has ended",
  ENOTDIR: "a component is not a directory",
  ENOTEMPTY: "the directory is not empty",
  ENXIO: "it is no regular file, or no device answers",
  EOPNOTSUPP: "the file system cannot do it",
  EPERM: "the operation is not permitted",
  EROFS: "the file system is read-only",
  ESTALE: "the directory was moved away meanwhile",
  EXDEV: "source and target lie on different mounts",
};

/** What FUSE answers when its program was killed, also for what the program had taken and not yet written. */
const REMOUNT = "unmount it and mount it again; what the program had not written yet is lost";

/** What helps against the codes that have a remedy. */
const ADVICE: Readonly<Record<string, string>> = {
  EBUSY: "unmount or close what uses it, then try again",
  ECONNABORTED: REMOUNT,
  EEXIST: "remove what is there or choose another name",
  EIO: "check the disk and the system's log",
  EMFILE: "raise the limit on open files (ulimit -n)",
  ENFILE: "raise fs.file-max",
  ENOENT: "check that the path exists",
  ENOTCONN: REMOUNT,
  ENOTDIR: "check the path",
  ESTALE: "make sure that nothing else changes the tree, then try again",
  EXDEV: "keep both on one file system",
};

/** Two names share a number on Linux; these are the ones that manual pages use first. */
const PREFERRED: readonly string[] = ["EAGAIN", "EOPNOTSUPP"];

let names: ReadonlyMap<number, string> | undefined;

function errnoName(errno: number): string {
  names ??= new Map([
    ...Object.entries(constants.errno).map(([name, number]): [number, string] => [number, name]),
    ...PREFERRED.map((name): [number, string] => [errnoOf(name), name]),
  ]);
  return names.get(errno) ?? `errno ${errno}`;
}

function failureOf(error: unknown): Failure | undefined {
  if (error instanceof OsError) return error;
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  if (!/^E[A-Z0-9]+$/.test(error.code)) return undefined;
  return {
    code: error.code,
    syscall: "syscall" in error && typeof error.syscall === "string" ? error.syscall : undefined,
    path: "path" in error && typeof error.path === "string" ? error.path : undefined,
  };
}
