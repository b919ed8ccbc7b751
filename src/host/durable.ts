// SPDX-License-Identifier: Apache-2.0
/**
 * What survives a power loss: syncing, and replacing a file so that either the old or the new content is there.
 *
 * fsync(2), NOTES: a file's own sync does not cover its directory entry; the directory needs one of its own.
 *
 * @module
 */
import { dirname } from "node:path";
import { fromText } from "../core/bytes.ts";
import { randomId } from "../core/ids.ts";
import { hasErrno, isOsError, OsError } from "./errno.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } from "./linux.ts";
import { OpenFile } from "./open_file.ts";

/** Whether what was written must survive a power loss. */
export type Durability = "full" | "none";

/** How a file is replaced. */
export interface WriteOptions {
  /** Permission bits, whatever the umask. Default 0o644. */
  readonly mode?: number;
  /** `none` skips the syncs: still all or nothing for readers, but not across a power loss. Default `full`. */
  readonly durability?: Durability;
}

/**
 * Waits until all of the file system that holds `path` is on the device.
 * @throws {OsError}
 */
export function syncFileSystemOf(path: string): void {
  using file = openForSync(path, 0);
  libc.syncfs(file.fd);
}

/**
 * Waits until a file's content and metadata are on the device.
 * @throws {OsError}
 */
export function syncFile(path: string): void {
  using file = openForSync(path, 0);
  file.sync();
}

/**
 * Waits until a directory's entries are on the device: what was created, renamed and removed in it.
 * @throws {OsError}
 */
export function syncDir(path: string): void {
  using directory = openForSync(path, O_DIRECTORY);
  directory.sync();
}

/**
 * Replaces a file, or makes it. Readers see the old content or the new, never a part.
 * @throws {OsError} the old content is untouched then
 */
export function writeFileAtomic(path: string, content: Uint8Array | string, options: WriteOptions = {}): void {
  const { mode = 0o644, durability = "full" } = options;
  const dir = dirname(path);
  const temporary = fromText(`${dir}/.tmp-${randomId().slice(0, 16)}`);
  try {
    using file = new OpenFile(libc.openat(AT_FDCWD, temporary, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, mode & 0o600));
    file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
    file.setMode(mode);
    if (durability === "full") file.sync();
    libc.renameat2(AT_FDCWD, temporary, AT_FDCWD, fromText(path), 0);
  } catch (error) {
    removeIfThere(temporary);
    // Calls on the open file do not know its name.
    throw isOsError(error) && error.path === undefined ? new OsError(error.errno, error.syscall, path) : error;
  }
  if (durability === "full") syncDir(dir);
}

function openForSync(path: string, flags: number): OpenFile {
  return new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | flags));
}

function removeIfThere(path: ReturnType<typeof fromText>): void {
  try {
    libc.unlinkat(AT_FDCWD, path, 0);
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
  }
}
