// SPDX-License-Identifier: Apache-2.0
/**
 * Locking a file that only this process means to lock: one with a random name of its own.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { type FileLock, tryLock } from "../host/file_lock.ts";

/** Others hold such a lock only while they look whether it is held, for some microseconds at a time. */
const TRIES_MAX = 1000;

/**
 * The lock on a file of this process's own, which is made when absent.
 * @throws {StrataError} `LOCKED` when somebody else really holds it
 */
export function lockOwnFile(path: string): FileLock {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const lock = tryLock(path, "exclusive");
    if (lock !== undefined) return lock;
  }
  throw new StrataError("LOCKED", `Cannot lock "${path}": another process holds it; find out which with "lslocks"`, {
    path,
  });
}
