// SPDX-License-Identifier: Apache-2.0
/**
 * Locks between processes: flock(2) on a file. The kernel drops them when their holder ends, however it ends, so a lock
 * also tells the living from the dead.
 *
 * An exclusive holder writes who it is into the file, for the message of those who wait in vain. A lock belongs to the
 * open file, not to the process: two locks in one process exclude each other as two processes do.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { fromBytes, fromText, toText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { hasErrno, isOsError } from "./errno.ts";
import * as libc from "./libc.ts";
import {
  AT_FDCWD,
  LOCK_EX,
  LOCK_NB,
  LOCK_SH,
  LOCK_UN,
  O_CREAT,
  O_NOCTTY,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
} from "./linux.ts";
import { OpenFile } from "./open_file.ts";
import { commandLine } from "./process.ts";

/** One holder, or many that all only read. */
export type LockKind = "exclusive" | "shared";

/** How a lock is waited for. */
export interface LockOptions {
  readonly kind: LockKind;
  /** Milliseconds; 0 tries once. */
  readonly timeoutMs: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal | undefined;
}

/** Milliseconds of the first pause between two tries, and of the longest. */
const PAUSE_MIN_MS = 1;
const PAUSE_MAX_MS = 50;
/** Bytes of a lock file that are read for the holder's name. */
const HOLDER_BYTES_MAX = 1024;

/** A held lock. Dispose of it, or call {@link FileLock.release}. */
export class FileLock implements Disposable, AsyncDisposable {
  /** The lock file. */
  readonly path: string;
  readonly kind: LockKind;
  readonly #file: OpenFile;

  /** Takes over an open file whose lock is held. Use {@link acquireLock} or {@link tryLock}. */
  constructor(path: string, kind: LockKind, file: OpenFile) {
    this.path = path;
    this.kind = kind;
    this.#file = file;
  }

  /** Gives the lock back. Further calls do nothing. */
  release(): void {
    if (this.#file.fd < 0) return;
    try {
      if (this.kind === "exclusive") this.#file.truncate(0);
      libc.flock(this.#file.fd, LOCK_UN); // A program that inherited the handle would keep the lock otherwise.
    } finally {
      this.#file.close();
    }
  }

  /** Sets the file's time to now: a sign of life for those who wait. */
  touch(): void {
    const now = Date.now();
    const time = { sec: Math.floor(now / 1000), nsec: (now % 1000) * 1e6 };
    this.#file.setTimes(time, time);
  }

  /** As {@link FileLock.release}. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** As {@link FileLock.release}. */
  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}

/**
 * Takes the lock on a file, which is made when absent. Waits without blocking the event loop.
 * @throws {StrataError} `LOCKED` when the time is over, `ABORTED` when the signal fires
 * @throws {OsError} when the file cannot be made or opened
 */
export async function acquireLock(path: string, options: LockOptions): Promise<FileLock> {
  const deadline = Date.now() + options.timeoutMs;
  for (let pauseMs = PAUSE_MIN_MS;; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    if (options.signal?.aborted) throw aborted(path, options.signal.reason);
    const lock = tryLock(path, options.kind);
    if (lock !== undefined) return lock;
    const left = deadline - Date.now();
    if (left <= 0) throw locked(path, options.timeoutMs);
    await pauseFor(Math.min(pauseMs, left), options.signal);
  }
}

/**
 * Takes the lock if it is free, else `undefined`.
 * @throws {OsError} when the file cannot be made or opened
 */
export function tryLock(path: string, kind: LockKind): FileLock | undefined {
  const file = openLockFile(path, kind);
  try {
    const free = libc.flock(file.fd, (kind === "exclusive" ? LOCK_EX : LOCK_SH) | LOCK_NB);
    // A file that was removed between open and flock locks nothing that others see.
    if (!free || !isStillAt(path, file)) {
      file.close();
      return undefined;
    }
    if (kind === "exclusive") writeHolder(file);
    return new FileLock(path, kind, file);
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * True while anybody holds a lock on the file; false also when there is no such file. The probe holds the lock for a
 * moment, so a {@link tryLock} elsewhere may fail meanwhile, while {@link acquireLock} just waits.
 * @throws {OsError} when the file cannot be opened
 */
export function isLocked(path: string): boolean {
  try {
    using file = new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_NOFOLLOW | O_NOCTTY));
    return !libc.flock(file.fd, LOCK_EX | LOCK_NB);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}

function openLockFile(path: string, kind: LockKind): OpenFile {
  const name = fromText(path);
  const flags = O_NOFOLLOW | O_NOCTTY;
  try {
    return new OpenFile(libc.openat(AT_FDCWD, name, O_RDWR | O_CREAT | flags, 0o600));
  } catch (error) {
    // A reader of a store that it may not write can still keep writers away.
    if (kind === "exclusive" || !isOsError(error, "EACCES", "EROFS")) throw error;
    return new OpenFile(libc.openat(AT_FDCWD, name, O_RDONLY | flags));
  }
}

function isStillAt(path: string, file: OpenFile): boolean {
  const there = libc.statx(AT_FDCWD, fromText(path));
  const held = file.stat();
  return there !== undefined && there.ino === held.ino && there.dev === held.dev;
}

/** `pid "command" since`, one line. On a full disk nothing is noted: what frees space needs the lock, too. */
function writeHolder(file: OpenFile): void {
  const line = `${process.pid} ${JSON.stringify(commandLine())} ${new Date().toISOString()}\n`;
  try {
    file.truncate(0);
    file.writeAt(new TextEncoder().encode(line), 0);
  } catch (error) {
    if (!isOsError(error, "ENOSPC", "EDQUOT")) throw error;
  }
}

/** The holder in words, as far as the file tells. */
function readHolder(path: string): string | undefined {
  try {
    using file = new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_NOFOLLOW | O_NOCTTY));
    const bytes = new Uint8Array(HOLDER_BYTES_MAX);
    const text = toText(fromBytes(bytes.subarray(0, file.readAt(bytes, 0))));
    const [, pid, command, since] = /^(\d+) (".*") (\S+)\n$/.exec(text ?? "") ?? [];
    if (since === undefined) return undefined;
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(since)) / 1000));
    return `pid ${pid} ${command} for ${seconds} s`;
  } catch {
    return undefined; // It serves a message about something else.
  }
}

function locked(path: string, timeoutMs: number): StrataError<"LOCKED"> {
  const holder = readHolder(path);
  const heldBy = holder === undefined ? "another process holds it" : `held by ${holder}`;
  return new StrataError(
    "LOCKED",
    `Cannot lock "${path}": ${heldBy}, and ${timeoutMs} ms of waiting are over; try again later or wait longer`,
    holder === undefined ? { path } : { path, holder },
  );
}

function aborted(path: string, cause: unknown): StrataError<"ABORTED"> {
  return new StrataError("ABORTED", `Cannot lock "${path}": the operation was aborted`, {}, { cause });
}

/** Ends early and quietly when the signal fires; the caller looks at the signal itself. */
async function pauseFor(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
