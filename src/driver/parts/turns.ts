// SPDX-License-Identifier: Apache-2.0
/**
 * Turns: of several calls for one layer's directory, one runs at a time, in this process and in all others. Looking whether
 * something is mounted, taking away what is dead, and mounting are several steps, and another caller must not come in between.
 *
 * @module
 */
import { withDirectoryLock } from "../../host/directory_lock.ts";

/** Milliseconds to wait for another process: longer than a program may take that mounts nothing. */
const TIMEOUT_MS = 120_000;

/** In this thread the turns are in the order of the calls. */
const last = new Map<string, Promise<unknown>>();

/**
 * Calls once all earlier calls for the same directory have ended, however they ended.
 * @throws {StrataError} `LOCKED` when another process does not come to an end; when there is no such directory
 */
export async function inTurn<T>(dir: string, act: () => Promise<T>): Promise<T> {
  const locked = () => withDirectoryLock(dir, TIMEOUT_MS, act);
  const turn = (last.get(dir) ?? Promise.resolve()).then(locked, locked);
  last.set(dir, turn);
  try {
    return await turn;
  } finally {
    if (last.get(dir) === turn) last.delete(dir);
  }
}
