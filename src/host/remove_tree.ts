// SPDX-License-Identifier: Apache-2.0
/**
 * Removing a tree by handles: names stay bytes, symlinks are removed and not followed, mounts are not entered, and a
 * tree of any depth takes two open handles. Flags that forbid removal go where this process may take them away.
 *
 * Going down opens the child and closes the parent; going up opens `..` and checks by inode that it is the directory
 * come from, as fts(3) does. A tree that is moved away meanwhile ends in `ESTALE`, not in removing something else.
 *
 * @module
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { type ByteString, fromText } from "../core/bytes.ts";
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import { errnoOf, isOsError, OsError } from "./errno.ts";
import type { DirEntry } from "./kernel_structs.ts";
import * as libc from "./libc.ts";
import { allowRemoval } from "./quota/project_id.ts";
import {
  AT_REMOVEDIR,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from "./linux.ts";

const UP = fromText("..");
const OWNER_ALL = 0o700;

/** A directory on the way down. */
interface Level {
  /** Its name in the level above. */
  readonly name: ByteString;
  /** Identity, checked when coming back up. */
  readonly key: string;
  /** What is still to be removed. */
  readonly entries: DirEntry[];
}

/** Milliseconds of work at a stretch, where the event loop is to go on. */
const SLICE_MS = 5;

/**
 * Removes `name` in the directory `parentFd` with all that lies below; nothing there is fine.
 * @throws {OsError} `EXDEV` at a mount point; what lay before it is removed
 */
export function removeTreeIn(parentFd: number, name: ByteString): void {
  const removal = removeStepwise(parentFd, name);
  while (removal.next().done !== true);
}

/**
 * As {@link removeTreeIn}, a few milliseconds at a stretch: trees of any size go without stopping the event loop.
 * @throws {OsError} `EXDEV` at a mount point; what lay before it is removed
 */
export async function removeTreeInTurns(parentFd: number, name: ByteString): Promise<void> {
  let turnEnds = performance.now() + SLICE_MS;
  for (const _ of removeStepwise(parentFd, name)) {
    if (performance.now() < turnEnds) continue;
    await nextTurn();
    turnEnds = performance.now() + SLICE_MS;
  }
}

/** Yields after every object that is gone. */
function* removeStepwise(parentFd: number, name: ByteString): Generator<void> {
  if (removedAsLeaf(parentFd, name)) return;
  const levels: Level[] = [];
  let fd = openToEmpty(parentFd, name);
  if (fd === undefined) return;
  try {
    levels.push(levelOf(fd, name));
    for (;;) {
      const level = levels[levels.length - 1];
      if (level === undefined) return;
      const child = yield* nextDirectory(fd, level);
      if (child !== undefined) {
        const below = openToEmpty(fd, child);
        if (below === undefined) continue;
        libc.close(fd);
        fd = below;
        levels.push(levelOf(fd, child));
      } else {
        levels.pop();
        const above = levels[levels.length - 1];
        if (above === undefined) return removeDirectory(parentFd, name);
        const up = openAbove(fd, above);
        libc.close(fd);
        fd = up;
        within(up, () => removeDirectory(up, level.name));
        yield;
      }
    }
  } finally {
    libc.close(fd);
  }
}

/** Removes the entries of a level that are no directories; returns the next that is one. */
function* nextDirectory(fd: number, level: Level): Generator<void, ByteString | undefined> {
  for (let entry = level.entries.pop(); entry !== undefined; entry = level.entries.pop()) {
    const { name, type } = entry;
    if (type === "dir" || !within(fd, () => removedAsLeaf(fd, name))) return name;
    yield;
  }
  return undefined;
}

/** False when it is a directory. Linux says `EISDIR` to unlink(2) of one, POSIX `EPERM`. */
function removedAsLeaf(fd: number, name: ByteString): boolean {
  try {
    unlinkFreed(fd, name, 0);
    return true;
  } catch (error) {
    if (isOsError(error, "ENOENT")) return true;
    if (isOsError(error, "EISDIR")) return false;
    if (isOsError(error, "EPERM") && libc.statx(fd, name)?.type === "dir") return false;
    throw error;
  }
}

/** Opens a directory to be emptied, made accessible when this user's own mode bits forbid it; `undefined` if gone. */
function openToEmpty(parentFd: number, name: ByteString): number | undefined {
  try {
    return openDirectory(parentFd, name);
  } catch (error) {
    if (isOsError(error, "ENOENT")) return undefined;
    if (!isOsError(error, "EACCES")) throw error;
  }
  const handle = libc.openat(parentFd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    libc.chmod(fromText(`/proc/self/fd/${handle}`), OWNER_ALL);
  } finally {
    libc.close(handle);
  }
  return openDirectory(parentFd, name);
}

function openDirectory(parentFd: number, name: ByteString): number {
  return libc.openat2(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
}

function levelOf(fd: number, name: ByteString): Level {
  const stat = libc.fstatx(fd);
  if (!mayEmpty(stat)) libc.fchmod(fd, OWNER_ALL);
  return { name, key: inodeKey(stat), entries: libc.getdents64(fd) };
}

function mayEmpty(stat: FileStat): boolean {
  return (stat.mode & OWNER_ALL) === OWNER_ALL || libc.geteuid() === 0;
}

function openAbove(fd: number, above: Level): number {
  const up = libc.openat(fd, UP, O_RDONLY | O_DIRECTORY);
  if (inodeKey(libc.fstatx(up)) === above.key) return up;
  libc.close(up);
  throw new OsError(errnoOf("ESTALE"), "openat", "..");
}

function removeDirectory(fd: number, name: ByteString): void {
  try {
    unlinkFreed(fd, name, AT_REMOVEDIR);
  } catch (error) {
    if (!isOsError(error, "ENOENT")) throw error;
  }
}

/** Unlinks, also what has a flag that forbids it (chattr(1), `i` and `a`): what is to be removed needs none any more. */
function unlinkFreed(fd: number, name: ByteString, flags: number): void {
  try {
    libc.unlinkat(fd, name, flags);
  } catch (error) {
    const type = isOsError(error, "EPERM") ? libc.statx(fd, name)?.type : undefined;
    if (type !== "file" && type !== "dir") throw error;
    const handle = libc.openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (!isFreed(handle)) throw error;
    } finally {
      libc.close(handle);
    }
    libc.unlinkat(fd, name, flags);
  }
}

/** Acts in a directory that is being removed itself, and once more without the flags that forbid changes of it. */
function within<T>(fd: number, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (!isOsError(error, "EPERM") || !isFreed(fd)) throw error;
    return act();
  }
}

/** True when the flags were the reason. Who may not take them away learns of the first refusal, not of this one. */
function isFreed(fd: number): boolean {
  try {
    return allowRemoval(fd);
  } catch (error) {
    if (!isOsError(error)) throw error;
    return false;
  }
}
