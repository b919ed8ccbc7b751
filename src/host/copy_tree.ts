// SPDX-License-Identifier: Apache-2.0
/**
 * Copying a tree as it is: content with its holes, hard links, owners, modes, times to the nanosecond and extended
 * attributes of every namespace.
 *
 * Blocks are shared where the file system can (ioctl_ficlone(2)), else copied inside the kernel (copy_file_range(2)),
 * else read and written; holes are found with `SEEK_DATA` (lseek(2)). The order of metadata is owner, attributes, mode,
 * times: chown(2) clears setuid and `security.capability`, a read-only mode forbids attributes, and each of them
 * changes a time. Directories get theirs last, since filling them changes their times and may need their write bit.
 *
 * @module
 */
import { type ByteString, display } from "../core/bytes.ts";
import { type FileStat, inodeKey } from "../core/file_stat.ts";
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import { hasErrno } from "./errno.ts";
import * as libc from "./libc.ts";
import { SEEK_DATA, SEEK_HOLE, SEEK_SET } from "./linux.ts";
import type { OpenFile } from "./open_file.ts";
import type { RootedDir } from "./rooted_dir.ts";

/** How a tree is copied. */
export interface CopyOptions {
  /** `archive` (the default): everything is kept. `self`: the copy belongs to this user, and has no device nodes. */
  readonly ownership?: "archive" | "self";
  /** Called for every object before it is copied. What it throws ends the copy. */
  readonly onEntry?: (path: LayerPath, stat: FileStat) => void;
}

/** Something that `ownership: "self"` could not bring along. */
export interface SkippedAttribute {
  /** The object, in a form for people. */
  readonly path: string;
  /** A device node, or an attribute that this user may not set. */
  readonly kind: "device" | "xattr";
  /** The attribute's name. */
  readonly name?: string;
}

/** What was copied. */
export interface CopyReport {
  /** Regular files, hard links counted once. */
  readonly files: number;
  /** Bytes of data that now exist a second time; holes are not counted. */
  readonly bytesCopied: number;
  /** Bytes of files that share their blocks with the original. */
  readonly bytesReflinked: number;
  /** Owners aside, what `ownership: "self"` left out. */
  readonly skipped: readonly SkippedAttribute[];
}

/**
 * Copies all that lies in `from` into `to`, and the root's own metadata. The target has none of the names.
 * @throws {OsError} what was copied until then stays
 */
export function copyTree(from: RootedDir, to: RootedDir, options: CopyOptions = {}): CopyReport {
  return new TreeCopy(from, to, options).run();
}

/** How a content is copied. */
export interface CopyContentOptions {
  /** Whether both files may have the same blocks. Default: `where possible`. */
  readonly reflink?: "where possible" | "never";
}

/**
 * Copies a file's content with its holes into a new file, blocks shared where the file system can.
 * @returns whether they are
 * @throws {OsError}
 */
export function copyContent(
  source: OpenFile,
  target: OpenFile,
  options: CopyContentOptions = {},
): "reflinked" | "copied" {
  const copy = new ContentCopy(options);
  copy.copy(source, target);
  return copy.bytesReflinked > 0 ? "reflinked" : "copied";
}

/**
 * Gives an empty file the blocks of another one.
 * @returns whether these file systems can
 * @throws {OsError}
 */
export function shareContent(source: OpenFile, target: OpenFile): "reflinked" | "refused" {
  return libc.ficlone(target.fd, source.fd) ? "reflinked" : "refused";
}

/** While a directory is filled. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

class TreeCopy {
  readonly #from: RootedDir;
  readonly #to: RootedDir;
  readonly #options: CopyOptions;
  readonly #content = new ContentCopy();
  /** The first name of each object that has several. */
  readonly #firstNames = new Map<string, LayerPath>();
  readonly #directories: { path: LayerPath; stat: FileStat }[] = [];
  readonly #skipped: SkippedAttribute[] = [];
  #files = 0;

  constructor(from: RootedDir, to: RootedDir, options: CopyOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
  }

  run(): CopyReport {
    const pending: LayerPath[] = [ROOT];
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      const stat = this.#from.stat(path);
      if (stat === undefined) continue;
      this.#options.onEntry?.(path, stat);
      this.#copyObject(path, stat);
      if (stat.type !== "dir") continue;
      for (const entry of this.#from.list(path).reverse()) pending.push(joinPath(path, entry.name));
    }
    for (const { path, stat } of this.#directories.reverse()) this.#copyMetadata(path, stat);
    const { bytesCopied, bytesReflinked } = this.#content;
    return { files: this.#files, bytesCopied, bytesReflinked, skipped: this.#skipped };
  }

  #copyObject(path: LayerPath, stat: FileStat): void {
    if (stat.type === "dir") {
      if (path !== ROOT) this.#to.mkdir(path, DIRECTORY_MODE);
      this.#directories.push({ path, stat });
      return;
    }
    if (stat.nlink > 1 && this.#linkedToFirst(path, stat)) return;
    if (this.#options.ownership === "self" && (stat.type === "char" || stat.type === "block")) {
      this.#skipped.push({ path: display(path), kind: "device" });
      return;
    }
    if (stat.type === "file") this.#copyFile(path);
    else if (stat.type === "symlink") this.#to.symlink(path, this.#from.readlink(path));
    else {
      const { type, rdevMajor: major, rdevMinor: minor } = stat;
      this.#to.mknod(path, { type, mode: FILE_MODE, major, minor });
    }
    this.#copyMetadata(path, stat);
  }

  /** Links a further name to the copy of the first. A skipped device has no copy, so each name is skipped on its own. */
  #linkedToFirst(path: LayerPath, stat: FileStat): boolean {
    const key = inodeKey(stat);
    const first = this.#firstNames.get(key);
    if (first === undefined || this.#to.stat(first) === undefined) {
      this.#firstNames.set(key, path);
      return false;
    }
    this.#to.link(first, path);
    return true;
  }

  #copyFile(path: LayerPath): void {
    using source = this.#from.openRead(path);
    using target = this.#to.create(path, FILE_MODE);
    this.#content.copy(source, target);
    this.#files++;
  }

  #copyMetadata(path: LayerPath, stat: FileStat): void {
    if (this.#options.ownership !== "self") this.#to.setOwner(path, stat.uid, stat.gid);
    for (const [name, value] of this.#from.xattrs(path)) this.#copyXattr(path, name, value);
    if (stat.type !== "symlink") this.#to.setMode(path, stat.mode);
    this.#to.setTimes(path, stat);
  }

  #copyXattr(path: LayerPath, name: ByteString, value: Uint8Array): void {
    try {
      this.#to.setXattr(path, name, value);
    } catch (error) {
      const mayLack = this.#options.ownership === "self" && hasErrno(error, "EPERM", "EACCES", "EOPNOTSUPP");
      if (!mayLack) throw error;
      this.#skipped.push({ path: display(path), kind: "xattr", name: display(name) });
    }
  }
}

/** Copies contents, and remembers which of the fast ways these two file systems refused. */
class ContentCopy {
  bytesCopied = 0;
  bytesReflinked = 0;
  #reflinks: boolean;
  #kernelCopies = true;
  #buffer: Uint8Array | undefined;

  constructor({ reflink = "where possible" }: CopyContentOptions = {}) {
    this.#reflinks = reflink === "where possible";
  }

  copy(source: OpenFile, target: OpenFile): void {
    const { size } = source.stat();
    if (size === 0) return;
    if (this.#reflinks) {
      this.#reflinks = libc.ficlone(target.fd, source.fd);
      if (this.#reflinks) {
        this.bytesReflinked += size;
        return;
      }
    }
    this.#copyExtents(source, target);
  }

  #copyExtents(source: OpenFile, target: OpenFile): void {
    let end = 0;
    for (;;) {
      const start = libc.lseek(source.fd, end, SEEK_DATA);
      if (start === undefined) break;
      end = libc.lseek(source.fd, start, SEEK_HOLE) ?? source.stat().size;
      this.#copyExtent(source, target, { start, end });
    }
    target.truncate(source.stat().size); // A hole at the end.
  }

  #copyExtent(source: OpenFile, target: OpenFile, extent: { start: number; end: number }): void {
    let at = extent.start;
    while (at < extent.end && this.#kernelCopies) {
      libc.lseek(source.fd, at, SEEK_SET);
      libc.lseek(target.fd, at, SEEK_SET);
      const copied = libc.copyFileRange(source.fd, target.fd, extent.end - at);
      if (copied === undefined) this.#kernelCopies = false;
      // Some file systems answer 0 although there is more; reading settles whether there is.
      if (copied === undefined || copied === 0) break;
      at += copied;
      this.bytesCopied += copied;
    }
    const buffer = this.#buffer ??= new Uint8Array(CHUNK_BYTES);
    while (at < extent.end) {
      const length = source.readAt(buffer.subarray(0, Math.min(buffer.byteLength, extent.end - at)), at);
      if (length === 0) return;
      target.writeAt(buffer.subarray(0, length), at);
      at += length;
      this.bytesCopied += length;
    }
  }
}
