// SPDX-License-Identifier: Apache-2.0
/**
 * Whiteouts as overlayfs has them: a character device 0:0 hides the name below, the attribute `trusted.overlay.opaque`
 * on a directory hides all that lies in it below. Inside a user namespace, where nobody may set `trusted.` attributes,
 * the marks are `user.overlay.…`, and mounts say so by the option `userxattr`.
 *
 * Written by other programs there are also whiteouts without devices, which kernels know since 6.7: an empty file with the
 * attribute `overlay.whiteout`, in a directory whose attribute `overlay.opaque` is `x`. They are read here, never written.
 *
 * Where such marks are refused, as on another overlay, files say the same to a mount program: `.wh.<name>`, and
 * `.wh..wh..opq` in a directory (`program_dir.ts` reads them).
 *
 * Source: kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories", "User xattr".
 *
 * @module
 */
import { type ByteString, display, fromText } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { ancestorsOf, baseOf, joinPath, type LayerPath, parentOf, ROOT } from "../../core/layer_path.ts";
import { hasErrno } from "../../host/errno.ts";
import { effectiveUser } from "../../host/process.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { inUserNamespace } from "../../host/namespaces/user_namespace.ts";
import type { Changeset } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { WhiteoutDialect } from "../../changeset/stacked_view.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from "../../changeset/whiteout.ts";

/** Which attributes overlayfs keeps its marks in. */
export type MarkSpace = "trusted" | "user";
/** Who mounts layers, and so reads their marks. */
export type Mounter = "kernel" | "program";

const YES = new TextEncoder().encode("y");
/** On a directory: it is not opaque, but files in it can be whiteouts. */
const HAS_FILE_WHITEOUTS = new TextEncoder().encode("x");
const DEVICE = { type: "char", mode: 0, major: 0, minor: 0 } as const;
const FILE_MODE = 0o600;

/** The marks that this process can read and write. Without root they are those of namespaces. */
export function currentMarks(): MarkSpace {
  return inUserNamespace() || effectiveUser() !== 0 ? "user" : "trusted";
}

/** The name of a mark, such as `opaque`. */
export function markName(marks: MarkSpace, mark: string): ByteString {
  return fromText(`${marks}.overlay.${mark}`);
}

/** How overlay layers say what they hide. */
export function overlayDialect(marks: MarkSpace): WhiteoutDialect {
  const opaque = markName(marks, "opaque");
  const whiteout = markName(marks, "whiteout");
  const prefix = markName(marks, "");
  const isMarked = (layer: Pick<RootedDir, "xattrs">, path: LayerPath, mark: Uint8Array): boolean => {
    const value = layer.xattrs(path).get(opaque);
    return value?.byteLength === 1 && value[0] === mark[0];
  };
  return {
    isWhiteout(stat: FileStat): boolean {
      return stat.type === "char" && stat.rdevMajor === 0 && stat.rdevMinor === 0;
    },
    files: {
      mayBeIn: (layer, path) => isMarked(layer, path, HAS_FILE_WHITEOUTS),
      isWhiteout: (layer, path) => layer.xattrs(path).has(whiteout),
    },
    isOpaque: (layer, path) => isMarked(layer, path, YES),
    isPrivateXattr(name: ByteString): boolean {
      return name.startsWith(prefix);
    },
  };
}

/** What a layer hides of the tree below it. */
export interface WhiteoutRequest {
  readonly tree: RootedDir;
  readonly changeset: Pick<Changeset, "whiteouts" | "opaques">;
  readonly below: Pick<TreeView, "list" | "resolve" | "stat">;
  readonly marks: MarkSpace;
  readonly mounter: Mounter;
}

/**
 * Writes a changeset's whiteouts into its tree. The times of the directories that receive them stay.
 *
 * A whiteout of something that does not exist below is left out: in a directory that is not merged with one below, the
 * kernel lists the device as an entry that nobody can open. So is one inside an opaque directory.
 * @returns who can read them
 * @throws {OsError} for the kernel also where devices or attributes are refused
 * @throws {StrataError} `NOT_SUPPORTED` for a name that a mount program cannot hide
 */
export function writeWhiteouts({ tree, changeset, below, marks, mounter }: WhiteoutRequest): Mounter {
  const opaques = new Set(changeset.opaques.filter((path) => path !== ROOT && tree.stat(path)?.type === "dir"));
  const hidden = new Set(changeset.whiteouts);
  // The kernel does not ask whether a layer's root is opaque, so every name in it is hidden.
  if (changeset.opaques.includes(ROOT)) { for (const { name } of below.list(ROOT)) hidden.add(joinPath(ROOT, name)); }
  const writer = new MarkWriter(tree, mounter);
  for (const path of hidden) {
    const present = tree.stat(path);
    if (present?.type === "dir") opaques.add(path);
    if (present !== undefined || isCovered(path, opaques) || !liesBelow(below, path)) continue;
    const file = joinPath(parentOf(path), fromText(WHITEOUT_PREFIX) + baseOf(path) as ByteString);
    writer.mark(() => tree.mknod(path, DEVICE), file);
  }
  for (const path of opaques) {
    writer.mark(() => tree.setXattr(path, markName(marks, "opaque"), YES), joinPath(path, fromText(OPAQUE_MARKER)));
  }
  return writer.finish();
}

/** Writes marks into one tree. */
class MarkWriter {
  readonly #tree: RootedDir;
  readonly #mounter: Mounter;
  readonly #dirs = new Map<LayerPath, FileStat>();
  #readableBy: Mounter = "kernel";

  constructor(tree: RootedDir, mounter: Mounter) {
    this.#tree = tree;
    this.#mounter = mounter;
  }

  /** Writes the kernel's mark, or where that is refused, a mount program's file beside or in what it marks. */
  mark(write: () => void, file: LayerPath): void {
    const dir = parentOf(file);
    const stat = this.#dirs.get(dir) ?? this.#tree.stat(dir);
    if (stat !== undefined) this.#dirs.set(dir, stat);
    try {
      write();
    } catch (error) {
      if (this.#mounter === "kernel" || !hasErrno(error, "EPERM", "EOPNOTSUPP")) throw error;
      this.#markByFile(file);
      this.#readableBy = "program";
    }
  }

  #markByFile(file: LayerPath): void {
    try {
      this.#tree.create(file, FILE_MODE).close();
    } catch (error) {
      if (!hasErrno(error, "ENAMETOOLONG")) throw error;
      throw tooLong(file, error);
    }
  }

  /** Gives directories their times back, and tells who can read the marks. */
  finish(): Mounter {
    for (const [path, { atime, mtime }] of this.#dirs) this.#tree.setTimes(path, { atime, mtime });
    return this.#readableBy;
  }
}

function tooLong(file: LayerPath, cause: unknown): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot make the whiteout "${display(file)}": the file system refuses devices for whiteouts, and the name is too ` +
      'long for a file; use another file system, or driver "vfs"',
    { feature: "whiteouts of long names" },
    { cause },
  );
}

/** Whether the path itself exists; what symlinks in its parents lead to does not count. */
function liesBelow(below: WhiteoutRequest["below"], path: LayerPath): boolean {
  const dir = parentOf(path);
  return below.resolve(dir) === dir && below.stat(path) !== undefined;
}

function isCovered(path: LayerPath, opaques: ReadonlySet<LayerPath>): boolean {
  return ancestorsOf(path).some((ancestor) => opaques.has(ancestor));
}
