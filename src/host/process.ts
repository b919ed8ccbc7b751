// SPDX-License-Identifier: Apache-2.0
/**
 * This process and others: identities that outlive a number's reuse.
 *
 * A pid comes back after a while; a pid with its start time does not, until the next boot. proc_pid_stat(5).
 *
 * @module
 */
import { availableParallelism, setPriority } from "node:os";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import type { IdPair } from "../core/id_map.ts";
import { hasErrno } from "./errno.ts";
import { geteuid } from "./libc.ts";

/** A process, told apart from later ones with its number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start. */
  readonly startTime: number;
}

/** This process. */
export function currentProcess(): ProcessIdentity {
  return { pid: process.pid, startTime: processStartTime(process.pid) ?? 0 };
}

/** How many threads of this process can run at once; at least 1. */
export function processorCount(): number {
  return availableParallelism();
}

/**
 * Lets the calling thread step back behind the process's others when processors are short. On Linux a nice value is a
 * thread's own, and it falls to a third of a share with 5. setpriority(2), "C library/kernel differences".
 */
export function lowerThreadPriority(): void {
  setPriority(BACKGROUND_NICENESS);
}

/** The effective user of this process; 0 is root. */
export function effectiveUser(): number {
  return geteuid();
}

/** Whom the kernel shows as the owner of what belongs to nobody in a user namespace. user_namespaces(7). */
export function overflowOwner(): IdPair {
  return { uid: overflowId("overflowuid"), gid: overflowId("overflowgid") };
}

/** A random id of this boot of the machine. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Clock ticks from boot to a process's start; `undefined` when there is no such process. */
export function processStartTime(pid: number): number | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, and may contain both blanks and parentheses.
  const ticks = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[START_TIME_FIELD];
  return ticks === undefined ? undefined : Number(ticks);
}

/** True while exactly this process runs, or waits as a zombie to be collected. */
export function isProcessAlive(identity: ProcessIdentity): boolean {
  return processStartTime(identity.pid) === identity.startTime;
}

/** This process's command line, for messages: what a person typed, without the runtime and its directories. */
export function commandLine(): string {
  const [, script = "strata", ...args] = process.argv;
  return [basename(script), ...args].join(" ");
}

/** `starttime` is field 22; the slice after the name begins with field 3. */
const START_TIME_FIELD = 22 - 3;
const BACKGROUND_NICENESS = 5;

/** What kernels use that nobody has told otherwise. */
const OVERFLOW_ID = 65534;

function overflowId(name: "overflowuid" | "overflowgid"): number {
  const id = Number.parseInt(readProc(`/proc/sys/kernel/${name}`) ?? "", 10);
  return Number.isNaN(id) ? OVERFLOW_ID : id;
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH")) return undefined;
    throw error;
  }
}
