// SPDX-License-Identifier: Apache-2.0
/**
 * The processes of this machine, as far as this one may see them, and what files are to them.
 *
 * Formats: proc(5), "comm", "cmdline", "root" and "cwd" of a process.
 *
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { isAbsolute } from "node:path";
import { hasErrno } from "./errno.ts";

/** A process that runs. */
export interface RunningProcess {
  readonly pid: number;
  /** As it was started, the program first; a program may have changed it since. */
  readonly args: readonly string[];
}

/** Numbers of processes; the rest of `/proc` is about the kernel. */
const PID = /^[0-9]+$/;

/** The processes that run a program of this file name, of at most 15 characters: so many the kernel keeps. */
export function processesRunning(program: string): RunningProcess[] {
  return readdirSync("/proc").filter((name) => PID.test(name)).flatMap((pid) => {
    if (readIfThere(`/proc/${pid}/comm`)?.trimEnd() !== program) return [];
    // One that has ended and waits to be collected has none.
    const line = readIfThere(`/proc/${pid}/cmdline`) ?? "";
    return line === "" ? [] : [{ pid: Number(pid), args: line.replace(/\0$/, "").split("\0") }];
  });
}

/** Where a path of another process leads, for this one: processes have working and root directories of their own. */
export function pathOfProcess(pid: number, path: string): string {
  return `/proc/${pid}/${isAbsolute(path) ? "root" : "cwd/"}${path}`;
}

/** Whether two paths lead to the same object, symlinks followed; not when one leads nowhere, or may not be followed. */
export function isSameObject(path: string, other: string): boolean {
  const [a, b] = [identityOf(path), identityOf(other)];
  return a !== undefined && a === b;
}

function identityOf(path: string): string | undefined {
  const stat = readOrUndefined(() => statSync(path, { bigint: true }));
  return stat && `${stat.dev}:${stat.ino}`;
}

function readIfThere(path: string): string | undefined {
  return readOrUndefined(() => readFileSync(path, "utf8"));
}

/** Processes end while one looks, and others may not be looked at. */
function readOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH", "ENOTDIR", "EACCES", "EPERM")) return undefined;
    throw error;
  }
}
