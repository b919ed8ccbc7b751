// SPDX-License-Identifier: Apache-2.0
/**
 * A lock on a directory itself, which leaves no file behind: for what takes a moment and must happen once on a machine.
 *
 * Sources: flock(2). The kernel gives the lock back when the handle closes, also when the process is killed.
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, LOCK_EX, O_DIRECTORY, O_RDONLY } from "./linux.ts";
import { OpenFile } from "./open_file.ts";

/**
 * Runs while no other thread or process holds the directory's lock. Waiting stops the thread: hold it for milliseconds.
 * @throws {OsError}
 */
export function underDirectoryLock<T>(dir: string, act: () => T): T {
  using handle = new OpenFile(libc.openat(AT_FDCWD, fromText(dir), O_RDONLY | O_DIRECTORY));
  libc.flock(handle.fd, LOCK_EX);
  return act();
}
