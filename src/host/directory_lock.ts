// SPDX-License-Identifier: Apache-2.0
/**
 * A lock on a directory itself, which leaves no file behind: for what must happen once on a machine at a time.
 *
 * Sources: flock(2). The kernel gives the lock back when the handle closes, also when the process is killed.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { fromOsError, isOsError } from "./errno.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, LOCK_EX, LOCK_NB, LOCK_UN, O_DIRECTORY, O_RDONLY } from "./linux.ts";
import { OpenFile } from "./open_file.ts";

/** Milliseconds of the first pause between two tries, and of the longest. */
const PAUSE_MIN_MS = 1;
const PAUSE_MAX_MS = 50;

/**
 * Runs while no other thread or process holds the directory's lock. Waiting stops the thread: hold it for milliseconds.
 * @throws {OsError}
 */
export function underDirectoryLock<T>(dir: string, act: () => T): T {
  using handle = openDirectory(dir);
  libc.flock(handle.fd, LOCK_EX);
  return act();
}

/**
 * As {@link underDirectoryLock}, for what takes longer: neither waiting nor acting stops the thread. Where directories cannot
 * be locked, as on NFS, it just runs.
 * @throws {StrataError} `LOCKED` when the time is over; what the system reports when the directory cannot be opened
 */
export async function withDirectoryLock<T>(dir: string, timeoutMs: number, act: () => Promise<T>): Promise<T> {
  using handle = openToLock(dir);
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = PAUSE_MIN_MS; !tryLock(handle); pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    if (Date.now() >= deadline) throw locked(dir, timeoutMs);
    await pause(pauseMs);
  }
  try {
    return await act();
  } finally {
    tryLock(handle, LOCK_UN); // A program that was just being started would keep the lock for a moment otherwise.
  }
}

function openDirectory(dir: string): OpenFile {
  return new OpenFile(libc.openat(AT_FDCWD, fromText(dir), O_RDONLY | O_DIRECTORY));
}

function openToLock(dir: string): OpenFile {
  try {
    return openDirectory(dir);
  } catch (error) {
    throw fromOsError(error, `lock "${dir}"`);
  }
}

/** Whether there is nothing to wait for. */
function tryLock(handle: OpenFile, operation = LOCK_EX | LOCK_NB): boolean {
  try {
    return libc.flock(handle.fd, operation);
  } catch (error) {
    if (isOsError(error, "EBADF", "EINVAL", "ENOLCK", "ENOSYS", "EOPNOTSUPP")) return true;
    throw error;
  }
}

function locked(path: string, timeoutMs: number): StrataError<"LOCKED"> {
  const message =
    `Cannot lock "${path}": another process holds it, and ${timeoutMs} ms of waiting are over; try again later`;
  return new StrataError("LOCKED", message, { path });
}
