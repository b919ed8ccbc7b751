// SPDX-License-Identifier: Apache-2.0
/**
 * The upper directory of a mount program, shown in the kernel's form.
 *
 * fuse-overlayfs 1.10, tried as root and in a user namespace, marks an opaque directory by `trusted.overlay.opaque`, or
 * without privilege by `user.fuseoverlayfs.opaque`, and always by the files `.wh..wh..opq` and `.wh..opq` in it as well. It
 * hides a name by a character device 0:0, or where none can be made by a file `.wh.<name>`, as aufs did; and it keeps
 * attributes of its own. Where these files are read, they stand for what they mean.
 *
 * @module
 */
import type { ByteString } from "../../core/bytes.ts";
import { fromText } from "../../core/bytes.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { baseOf, joinPath, type LayerPath, parentOf, ROOT } from "../../core/layer_path.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { DirEntry, OpenRootOptions } from "../../host/rooted_dir.ts";
import { OverrideDir } from "../../changeset/override_dir.ts";
import type { OverrideStat } from "../../changeset/override_stat.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";
import { currentMarks, markName } from "./whiteouts.ts";

/** Further names of the opaque attribute. */
const OPAQUE_ALIASES: readonly ByteString[] = [fromText("user.fuseoverlayfs.opaque"), fromText("user.overlay.opaque")];
const ORIGIN_XATTR = fromText("user.fuseoverlayfs.origin");
const PRIVATE_XATTR = /^(?:user|security)\.fuseoverlayfs\./;
/** Bookkeeping, and the marks of opaque directories. */
const BOOKKEEPING = ".wh..";
const MARKER = fromText(OPAQUE_MARKER);
const YES = new TextEncoder().encode("y");
const WHITEOUT = { type: "char", mode: 0, rdevMajor: 0, rdevMinor: 0 } as const;

/** How such a directory is opened. */
export interface OpenProgramDirOptions extends OpenRootOptions {
  /** Default `honoured`. */
  readonly overrides?: "honoured" | "ignored";
}

/** A directory that a mount program wrote. Its marks are shown as the kernel's, so it is for reading only. */
export class ProgramDir extends OverrideDir {
  /** Whether attributes tell what objects are. Who may write in the mount could set them otherwise, too. */
  #overrides: "honoured" | "ignored" = "honoured";

  /** See {@link RootedDir.open}. */
  static override open(path: string, { overrides = "honoured", within }: OpenProgramDirOptions = {}): ProgramDir {
    const dir = new ProgramDir(RootedDir.openHandle(path, { within }), path);
    dir.#overrides = overrides;
    return dir;
  }

  /** See {@link RootedDir.openDir}. */
  override openDir(path: LayerPath): ProgramDir {
    const dir = new ProgramDir(this.openDirHandle(path), this.pathOf(path));
    dir.#overrides = this.#overrides;
    return dir;
  }

  /** See {@link RootedDir.stat}. */
  override stat(path: LayerPath): FileStat | undefined {
    if (path === ROOT) return super.stat(path);
    if (baseOf(path).startsWith(WHITEOUT_PREFIX)) return undefined;
    const stat = super.stat(path);
    if (stat !== undefined) return stat;
    const mark = super.stat(joinPath(parentOf(path), fromText(WHITEOUT_PREFIX) + baseOf(path) as ByteString));
    return mark && { ...mark, ...WHITEOUT };
  }

  /** Whether a file was copied up from a layer below: the program notes where from. */
  isCopy(path: LayerPath): boolean {
    return super.xattrs(path).has(ORIGIN_XATTR);
  }

  /** See {@link RootedDir.list}. */
  override list(path: LayerPath): DirEntry[] {
    const entries = super.list(path);
    const names = new Set(entries.map(({ name }) => name));
    return entries.flatMap((entry): DirEntry[] => {
      const { name } = entry;
      if (!name.startsWith(WHITEOUT_PREFIX)) return [entry];
      const hidden = name.slice(WHITEOUT_PREFIX.length) as ByteString;
      return name.startsWith(BOOKKEEPING) || names.has(hidden) ? [] : [{ ...entry, name: hidden, type: "char" }];
    });
  }

  /** See {@link RootedDir.xattrs}. */
  override xattrs(path: LayerPath): Map<ByteString, Uint8Array> {
    const attributes = super.xattrs(path);
    const isMarked = OPAQUE_ALIASES.some((name) => attributes.has(name)) ||
      super.stat(joinPath(path, MARKER)) !== undefined;
    for (const name of [...attributes.keys()]) {
      if (PRIVATE_XATTR.test(name) || OPAQUE_ALIASES.includes(name)) attributes.delete(name);
    }
    if (isMarked) attributes.set(markName(currentMarks(), "opaque"), YES);
    return attributes;
  }

  protected override said(attributes: ReadonlyMap<ByteString, Uint8Array>): OverrideStat | undefined {
    return this.#overrides === "honoured" ? super.said(attributes) : undefined;
  }
}

/** A directory that a mount program wrote, without the files that are its marks: to change the owners of all else. */
export class ProgramFiles extends RootedDir {
  /** See {@link RootedDir.open}. */
  static override open(path: string, options: OpenRootOptions = {}): ProgramFiles {
    return new ProgramFiles(RootedDir.openHandle(path, options), path);
  }

  /** See {@link RootedDir.list}. */
  override list(path: LayerPath): DirEntry[] {
    return super.list(path).filter(({ name }) => !name.startsWith(WHITEOUT_PREFIX));
  }
}
