// SPDX-License-Identifier: Apache-2.0
/**
 * Ordinary operations on paths of the host: the store's own files and directories, whose names this package chose or a
 * person gave. Nothing that comes from an archive is used here; that goes through {@link RootedDir}.
 *
 * Failures are {@link OsError}s or `node:fs` errors; `errno.ts` reads both.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { accessSync, constants, mkdirSync, readlinkSync, realpathSync, statSync, symlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { fromText, toText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import type { FileStat } from "../core/file_stat.ts";
import type { IdPair } from "../core/id_map.ts";
import { parseLayerPath } from "../core/layer_path.ts";
import { JSON_BYTES_MAX } from "../core/limits.ts";
import { errnoOf, hasErrno, OsError } from "./errno.ts";
import * as libc from "./libc.ts";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
} from "./linux.ts";
import { OpenFile } from "./open_file.ts";
import { removeTreeInTurns as removeInTurns } from "./remove_tree.ts";
import { type RenameOptions, RootedDir } from "./rooted_dir.ts";

const PAGE_BYTES = 4096;

/** Makes a directory and those above it, when absent; `mode` is for the ones that are made, and passes the umask. */
export function ensureDir(path: string, mode: number): void {
  try {
    mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    if (!hasErrno(error, "ENOENT")) throw error;
    // Node reports a read-only file system as ENOENT when it makes several directories; one alone tells the truth.
    mkdirSync(path, { mode });
  }
}

/** What has this name, or the nearest directory above that is there. */
export function nearestDirectory(path: string): string {
  let dir = path;
  while (!pathExists(dir)) dir = dir.slice(0, Math.max(1, dir.lastIndexOf("/")));
  return dir;
}

/** How a regular file is opened. */
export interface OpenRegularOptions {
  /** What becomes of a final symlink. Default `refuse`: it is `ELOOP`, since it may lead to what is nobody's to show. */
  readonly symlink?: "follow" | "refuse";
}

/** A regular file's UTF-8 text; `undefined` when there is no such file. As {@link readBytes} of 4 MiB at most. */
export function readText(path: string, options: OpenRegularOptions = {}): string | undefined {
  const bytes = readBytes(path, { ...options, max: JSON_BYTES_MAX });
  return bytes && new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/**
 * A regular file's bytes; `undefined` when there is no such file. What is no regular file is refused: a fifo would let the
 * reader wait for ever.
 * @throws {StrataError} `LIMIT_EXCEEDED` when it has more than `max` bytes
 */
export function readBytes(
  path: string,
  { max, ...options }: OpenRegularOptions & { readonly max: number },
): Uint8Array | undefined {
  return undefinedIfAbsent(() => {
    using file = openRegular(path, options);
    const { size } = file.stat();
    if (size > max) refuseLarge(path, max);
    // Files of /proc have no size; and a file may grow while it is read.
    let bytes = new Uint8Array(size === 0 ? PAGE_BYTES : size + 1);
    let length = 0;
    for (let count = file.read(bytes); count > 0; count = file.read(bytes.subarray(length))) {
      length += count;
      if (length > max) refuseLarge(path, max);
      if (length === bytes.length) bytes = grown(bytes);
    }
    return bytes.subarray(0, length);
  });
}

/** The names in a directory, in UTF-16 order; none when there is no such directory. */
export function listNames(path: string): string[] {
  return undefinedIfAbsent(() => namesIn(path).sort()) ?? [];
}

/** True when something has this name, also a dangling symlink. */
export function pathExists(path: string): boolean {
  return statPath(path) !== undefined;
}

/** What has this name, a final symlink not followed; `undefined` when nothing has. */
export function statPath(path: string): FileStat | undefined {
  return libc.statx(AT_FDCWD, fromText(path));
}

/** Who owns what has this name and, where that is a symlink, also who owns what it leads to. */
export function ownersOf(path: string): IdPair[] {
  const own = statPath(path);
  const target = statSync(path, { throwIfNoEntry: false });
  return [own, target].flatMap((stat) => stat === undefined ? [] : [{ uid: stat.uid, gid: stat.gid }]);
}

/** Whether a directory can be reached by this name, symlinks followed. */
export function directoryExists(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Removes whatever has this name, with all that lies below. Symlinks are not followed, mounts not entered. */
export function removeTreeAt(path: string): void {
  undefinedIfAbsent(() => {
    using parent = RootedDir.open(dirname(path));
    parent.removeTree(parseLayerPath(fromText(basename(path))));
  });
}

/**
 * Removes a directory.
 * @throws {OsError} `ENOTEMPTY` when something is in it
 */
export function removeEmptyDirectory(path: string): void {
  libc.unlinkat(AT_FDCWD, fromText(path), AT_REMOVEDIR);
}

/** As {@link removeTreeAt}, without stopping the event loop, however much that is. */
export async function removeTreeInTurns(path: string): Promise<void> {
  const parent = undefinedIfAbsent(() => libc.openat(AT_FDCWD, fromText(dirname(path)), O_PATH | O_DIRECTORY));
  if (parent === undefined) return;
  try {
    await removeInTurns(parent, fromText(basename(path)));
  } finally {
    libc.close(parent);
  }
}

/** Moves an object inside its file system. `never` fails with `EEXIST` when the new name is taken. */
export function renamePath(from: string, to: string, options: RenameOptions): void {
  const flags = options.replace === "never" ? RENAME_NOREPLACE : 0;
  libc.renameat2(AT_FDCWD, fromText(from), AT_FDCWD, fromText(to), flags);
}

/**
 * Gives each of two objects of one file system the other's name: in one step, so that no crash leaves either name empty.
 * File systems that cannot do that get three renames.
 */
export function exchangePaths(one: string, other: string): void {
  try {
    libc.renameat2(AT_FDCWD, fromText(one), AT_FDCWD, fromText(other), RENAME_EXCHANGE);
  } catch (error) {
    if (!hasErrno(error, "EINVAL", "ENOSYS")) throw error;
    renamePath(other, `${one}.aside`, { replace: "never" });
    renamePath(one, other, { replace: "never" });
    renamePath(`${one}.aside`, one, { replace: "never" });
  }
}

/** Makes a file with this content; `EEXIST` when the name is taken. */
export function createExclusive(path: string, content: Uint8Array | string): void {
  using file = openForWrite(path, { existing: "never" });
  file.write(typeof content === "string" ? new TextEncoder().encode(content) : content);
}

/** Opens a file for reading. */
export function openForRead(path: string): OpenFile {
  return new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_NOCTTY));
}

/**
 * Opens a regular file for reading, and nothing else: neither waits for a fifo's writer nor acts on a device.
 * @throws {OsError} `ELOOP` for a symlink, `EISDIR` for a directory, `ENXIO` for what is no file at all
 */
export function openRegular(path: string, { symlink = "refuse" }: OpenRegularOptions = {}): OpenFile {
  const follow = symlink === "follow" ? 0 : O_NOFOLLOW;
  const file = new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_NOCTTY | O_NONBLOCK | follow));
  const { type } = file.stat();
  if (type === "file") return file;
  file.close();
  throw new OsError(errnoOf(type === "dir" ? "EISDIR" : "ENXIO"), "open", path);
}

/** How a file is opened for writing. */
export interface OpenForWriteOptions {
  /** `never` (the default): a taken name is `EEXIST`. `allow`: a file that is there is opened with its content. */
  readonly existing?: "never" | "allow";
  /** Permission bits of a file that is made; they pass the umask. Default 0o644. */
  readonly mode?: number;
}

/** Opens a file for reading and writing, and makes it when absent. A final symlink is refused. */
export function openForWrite(path: string, options: OpenForWriteOptions = {}): OpenFile {
  const { existing = "never", mode = 0o644 } = options;
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NOCTTY | (existing === "never" ? O_EXCL : 0);
  return new OpenFile(libc.openat(AT_FDCWD, fromText(path), flags, mode));
}

/** Whether this process may write to what has this name, found out by opening it: a device may be there, and dead. */
export function opensForWriting(path: string): boolean {
  try {
    new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDWR | O_NOCTTY)).close();
    return true;
  } catch {
    return false;
  }
}

/** Fails as adding names to a directory would: `EACCES`, or `EROFS`. */
export function requireChangeable(path: string): void {
  accessSync(path, constants.W_OK | constants.X_OK);
}

/** Makes a symlink at `path`; `EEXIST` when the name is taken. */
export function makeSymlink(path: string, target: string): void {
  symlinkSync(target, path);
}

/** What a symlink says; `undefined` when nothing has this name, or what has is none. */
export function readSymlink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "EINVAL")) return undefined;
    throw error;
  }
}

/** The path with all symlinks resolved. */
export function realPath(path: string): string {
  return realpathSync(path);
}

/** `readdir` of the runtimes takes three times as long, which counts in a directory of 50,000. */
function namesIn(path: string): string[] {
  const fd = libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_DIRECTORY);
  try {
    return libc.getdents64(fd).map(({ name }) => toText(name) ?? Buffer.from(name, "latin1").toString("utf8"));
  } finally {
    libc.close(fd);
  }
}

function undefinedIfAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function grown(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.max(PAGE_BYTES, 2 * bytes.length));
  larger.set(bytes);
  return larger;
}

function refuseLarge(path: string, max: number): never {
  throw new StrataError("LIMIT_EXCEEDED", `Cannot read "${path}": it has more than ${max} bytes; check the file`, {
    limit: "max",
    max,
    entry: path,
  });
}
