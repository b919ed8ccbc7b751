// SPDX-License-Identifier: Apache-2.0
/**
 * A directory below which everything is reached, and out of which nothing leads.
 *
 * Parents are resolved by the kernel with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: their symlinks are
 * followed as in a chroot, and a component that is swapped meanwhile cannot lead outside. The last component is never
 * followed, unless a method says so. What is created is created exclusively. Metadata is set by handle or by calls
 * that do not follow. openat2(2); the methods' own calls are those of their names in section 2 of the manual.
 *
 * The parent resolved last is kept open, since archives group entries by directory; any removal or rename through any
 * `RootedDir` of this thread forgets it (CVE-2021-32803, CVE-2025-47290: a resolution must not outlive a mutation).
 *
 * All methods throw {@link OsError} when the system refuses.
 *
 * @module
 */
import { type ByteString, compareBytes, display, fromText } from "../core/bytes.ts";
import type { FileStat } from "../core/file_stat.ts";
import { baseOf, type LayerPath, parentOf, ROOT } from "../core/layer_path.ts";
import { openHandleWithin } from "./confined.ts";
import { errnoOf, isOsError, OsError } from "./errno.ts";
import { deviceNumber, type DirEntry, type FileTimes } from "./kernel_structs.ts";
import * as libc from "./libc.ts";
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  RENAME_NOREPLACE,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  TYPE_BITS,
} from "./linux.ts";
import { collectXattrs, OpenFile } from "./open_file.ts";
import { removeTreeIn } from "./remove_tree.ts";

export type { DirEntry, FileTimes } from "./kernel_structs.ts";

/** An object without content that `mknod` makes. */
export interface NodeSpec {
  /** What it is. */
  readonly type: "char" | "block" | "fifo" | "socket";
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  /** Device numbers; 0 for fifos and sockets. */
  readonly major?: number;
  /** As {@link NodeSpec.major}. */
  readonly minor?: number;
}

/** What becomes of an object that has the new name already. */
export interface RenameOptions {
  /** `never`: the rename fails with `EEXIST`. `allow`: it is replaced, if rename(2) can. */
  readonly replace: "never" | "allow";
}

/** How a directory is opened. */
export interface OpenRootOptions {
  /** Absolute paths without symlinks: the directory lies in one of them, and no symlink may lead out. Absent: anywhere. */
  readonly within?: readonly string[] | undefined;
}

const IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
/** How the root itself is named below its own handle. */
const HERE: ByteString = fromText(".");

/** Removals and renames so far in this thread: what invalidates every cached parent. */
let mutations = 0;

/** An open directory that serves as root. Dispose of it, or call {@link RootedDir.close}. */
export class RootedDir implements Disposable {
  /** Where it was opened, for messages only: it is not resolved again. */
  readonly path: string;
  #fd: number;
  #cachedFd = -1;
  #cachedDir: LayerPath = ROOT;
  #cachedAt = 0;

  /** Takes a directory's handle over. For classes that show directories in another form. */
  protected constructor(fd: number, path: string) {
    this.#fd = fd;
    this.path = path;
  }

  /**
   * Opens a directory of the host. The path is trusted, unless options say otherwise: its symlinks are followed as usual.
   * @throws {OsError}
   * @throws {StrataError} `CORRUPT` when the way leads out of where it must not
   * @throws {StrataError} `NOT_SUPPORTED` where system calls cannot be made
   */
  static open(path: string, options: OpenRootOptions = {}): RootedDir {
    return new RootedDir(RootedDir.openHandle(path, options), path);
  }

  /** A handle on a directory of the host, as {@link RootedDir.open} opens it. */
  protected static openHandle(path: string, { within }: OpenRootOptions = {}): number {
    const flags = O_RDONLY | O_DIRECTORY;
    return within === undefined ? libc.openat(AT_FDCWD, fromText(path), flags) : openHandleWithin(path, within, flags);
  }

  /** The directory's handle; -1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  /** Opens a directory below as a root of its own; a symlink is refused. */
  openDir(path: LayerPath): RootedDir {
    return new RootedDir(this.openDirHandle(path), this.pathOf(path));
  }

  /** A handle on a directory below, as {@link RootedDir.openDir} opens it. */
  protected openDirHandle(path: LayerPath): number {
    return this.#openWhole(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  /** Where a directory below is, for messages. */
  protected pathOf(path: LayerPath): string {
    return path === ROOT ? this.path : `${this.path}/${display(path)}`;
  }

  /** What is there; `undefined` when nothing is. */
  stat(path: LayerPath): FileStat | undefined {
    try {
      return libc.statx(this.#parent(path), nameOf(path));
    } catch (error) {
      if (isOsError(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  }

  /** A directory's entries, sorted bytewise; a symlink to a directory is refused. */
  list(path: LayerPath): DirEntry[] {
    const fd = this.#openWhole(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      return libc.getdents64(fd).sort((a, b) => compareBytes(a.name, b.name));
    } finally {
      libc.close(fd);
    }
  }

  /** A symlink's target. */
  readlink(path: LayerPath): ByteString {
    return libc.readlinkat(this.#parent(path), nameOf(path));
  }

  /** Opens a regular file for reading. A symlink, device, fifo or directory is refused, and not touched. */
  openRead(path: LayerPath): OpenFile {
    const parent = this.#parent(path);
    const name = nameOf(path);
    // Opening a device can act on it, so the type is looked at before; and again by handle, since it may be swapped.
    requireRegular(libc.statx(parent, name), path);
    const file = new OpenFile(libc.openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    return onlyRegular(file, path);
  }

  /** Opens a regular file for reading, a final symlink followed inside the root. */
  openReadFollowing(path: LayerPath): OpenFile {
    const handle = this.#openWhole(path, O_PATH);
    try {
      requireRegular(libc.fstatx(handle), path);
      return new OpenFile(libc.openat(AT_FDCWD, procPath(handle), O_RDONLY | O_NOCTTY));
    } finally {
      libc.close(handle);
    }
  }

  /** Makes a file with exactly this mode and opens it for reading and writing. Whatever has the name is `EEXIST`. */
  create(path: LayerPath, mode: number): OpenFile {
    const flags = O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR;
    const file = new OpenFile(libc.openat(this.#parent(path), nameOf(path), flags, mode & 0o777));
    try {
      file.setMode(mode); // The umask, a default ACL or special bits may have made it another one.
      return file;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Makes a directory with exactly this mode. */
  mkdir(path: LayerPath, mode: number): void {
    const parent = this.#parent(path);
    libc.mkdirat(parent, nameOf(path), mode & 0o777);
    chmodNoFollow(parent, nameOf(path), mode);
  }

  /** Makes a symlink; the target is kept as it is. */
  symlink(path: LayerPath, target: ByteString): void {
    libc.symlinkat(target, this.#parent(path), nameOf(path));
  }

  /** Gives `existing` a second name. Neither is followed; a directory is `EPERM`. */
  link(existing: LayerPath, path: LayerPath): void {
    const parent = this.#parent(path);
    this.#withSecondParent(existing, (from) => libc.linkat(from, nameOf(existing), parent, nameOf(path)));
  }

  /** Gives an open file, wherever it lies, a name here; in another mount that is `EXDEV`. open(2), `O_TMPFILE`. */
  linkOpen(file: OpenFile, path: LayerPath): void {
    libc.linkat(AT_FDCWD, procPath(file.fd), this.#parent(path), nameOf(path), AT_SYMLINK_FOLLOW);
  }

  /** Makes a device, fifo or socket with exactly this mode. */
  mknod(path: LayerPath, node: NodeSpec): void {
    const parent = this.#parent(path);
    const device = deviceNumber(node.major ?? 0, node.minor ?? 0);
    libc.mknodat(parent, nameOf(path), TYPE_BITS[node.type] | (node.mode & 0o777), device);
    chmodNoFollow(parent, nameOf(path), node.mode);
  }

  /** Removes what is not a directory. */
  unlink(path: LayerPath): void {
    libc.unlinkat(this.#parent(path), nameOf(path), 0);
    mutations++;
  }

  /** Removes an empty directory. */
  rmdir(path: LayerPath): void {
    libc.unlinkat(this.#parent(path), nameOf(path), AT_REMOVEDIR);
    mutations++;
  }

  /**
   * Removes whatever is there, with all that lies below; nothing there is fine. Symlinks are removed, not followed.
   * A mount point is not entered: `EXDEV`. The root itself is emptied and stays.
   */
  removeTree(path: LayerPath): void {
    try {
      if (path === ROOT) { for (const { name } of this.list(ROOT)) removeTreeIn(this.#fd, name); }
      else removeTreeIn(this.#parent(path), nameOf(path));
    } catch (error) {
      if (!isOsError(error, "ENOENT", "ENOTDIR")) throw error;
    } finally {
      mutations++;
    }
  }

  /** Moves an object; an object of the new name is replaced, if rename(2) can. */
  rename(from: LayerPath, to: LayerPath): void {
    const target = this.#parent(to);
    this.#withSecondParent(from, (source) => libc.renameat2(source, nameOf(from), target, nameOf(to), 0));
    mutations++;
  }

  /** Moves an object into another root of the same file system. */
  renameInto(from: LayerPath, target: RootedDir, to: LayerPath, options: RenameOptions): void {
    const flags = options.replace === "never" ? RENAME_NOREPLACE : 0;
    const into = target.#parent(to);
    this.#withSecondParent(from, (source) => libc.renameat2(source, nameOf(from), into, nameOf(to), flags));
    mutations++;
  }

  /** Sets the owner, also of a symlink. The kernel drops setuid and setgid with it, so owner comes before mode. */
  setOwner(path: LayerPath, uid: number, gid: number): void {
    libc.fchownat(this.#parent(path), nameOf(path), uid, gid);
  }

  /** Sets exactly this mode; a symlink, which has none of its own, is `EOPNOTSUPP`. */
  setMode(path: LayerPath, mode: number): void {
    chmodNoFollow(this.#parent(path), nameOf(path), mode);
  }

  /** Sets times to the nanosecond, also of a symlink; an absent one stays. */
  setTimes(path: LayerPath, times: FileTimes): void {
    libc.utimensat(this.#parent(path), nameOf(path), times);
  }

  /** The extended attributes of every namespace that this process can see, sorted by name; also of a symlink. */
  xattrs(path: LayerPath): Map<ByteString, Uint8Array> {
    const place = this.#procPathOf(path);
    return collectXattrs(libc.llistxattr(place), (name) => libc.lgetxattr(place, name));
  }

  /** Sets an extended attribute, also on a symlink. */
  setXattr(path: LayerPath, name: ByteString, value: Uint8Array): void {
    libc.lsetxattr(this.#procPathOf(path), name, value);
  }

  /** Removes an extended attribute, also from a symlink. */
  removeXattr(path: LayerPath, name: ByteString): void {
    libc.lremovexattr(this.#procPathOf(path), name);
  }

  /** Gives the handles back. Further calls do nothing. */
  close(): void {
    if (this.#fd < 0) return;
    this.#forget();
    const fd = this.#fd;
    this.#fd = -1;
    libc.close(fd);
  }

  /** As {@link RootedDir.close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** A handle on the directory that holds `path`; it belongs to the cache. */
  #parent(path: LayerPath): number {
    const dir = parentOf(path);
    if (dir === ROOT) return this.#fd;
    if (this.#cachedFd >= 0 && this.#cachedAt === mutations && this.#cachedDir === dir) return this.#cachedFd;
    this.#forget();
    this.#cachedFd = this.#openWhole(dir, O_PATH | O_DIRECTORY);
    this.#cachedDir = dir;
    this.#cachedAt = mutations;
    return this.#cachedFd;
  }

  /** Calls with the parent of a second path, and leaves the cache to the first. */
  #withSecondParent(path: LayerPath, act: (parent: number) => void): void {
    const dir = parentOf(path);
    if (dir === ROOT) return act(this.#fd);
    if (this.#cachedFd >= 0 && this.#cachedAt === mutations && this.#cachedDir === dir) return act(this.#cachedFd);
    const fd = this.#openWhole(dir, O_PATH | O_DIRECTORY);
    try {
      act(fd);
    } finally {
      libc.close(fd);
    }
  }

  #openWhole(path: LayerPath, flags: number): number {
    return libc.openat2(this.#fd, path === ROOT ? HERE : path, flags, IN_ROOT);
  }

  /** Attribute calls have no form with a directory handle; /proc gives the handle a path. */
  #procPathOf(path: LayerPath): ByteString {
    return fromText(`${procPath(this.#parent(path))}/`) + nameOf(path) as ByteString;
  }

  #forget(): void {
    if (this.#cachedFd < 0) return;
    const fd = this.#cachedFd;
    this.#cachedFd = -1;
    libc.close(fd);
  }
}

function nameOf(path: LayerPath): ByteString {
  return path === ROOT ? HERE : baseOf(path);
}

function procPath(fd: number): ByteString {
  return fromText(`/proc/self/fd/${fd}`);
}

/** Modes of devices, fifos and directories can be set without opening them only by these two ways. */
function chmodNoFollow(parent: number, name: ByteString, mode: number): void {
  if (libc.fchmodat2(parent, name, mode)) return;
  const handle = libc.openat(parent, name, O_PATH | O_NOFOLLOW);
  try {
    if (libc.fstatx(handle).type === "symlink") throw new OsError(errnoOf("EOPNOTSUPP"), "chmod", display(name));
    libc.chmod(procPath(handle), mode);
  } finally {
    libc.close(handle);
  }
}

function onlyRegular(file: OpenFile, path: LayerPath): OpenFile {
  try {
    requireRegular(file.stat(), path);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function requireRegular(stat: FileStat | undefined, path: LayerPath): void {
  if (stat?.type === "file") return;
  const code = stat === undefined
    ? "ENOENT"
    : stat.type === "dir"
    ? "EISDIR"
    : stat.type === "symlink"
    ? "ELOOP"
    : "ENXIO";
  throw new OsError(errnoOf(code), "open", display(path));
}
