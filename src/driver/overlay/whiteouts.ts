// SPDX-License-Identifier: Apache-2.0
/**
 * Whiteouts as overlayfs has them: a character device 0:0 hides the name below, the attribute `trusted.overlay.opaque`
 * on a directory hides all that lies in it below. Inside a user namespace, where nobody may set `trusted.` attributes,
 * the marks are `user.overlay.…`, and mounts say so by the option `userxattr`.
 *
 * Written by other programs there are also whiteouts without devices, which kernels know since 6.7: an empty file with the
 * attribute `overlay.whiteout`, in a directory whose attribute `overlay.opaque` is `x`. They are read here, never written.
 *
 * Source: kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories", "User xattr".
 *
 * @module
 */
import { type ByteString, fromText } from "../../core/bytes.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { ancestorsOf, joinPath, type LayerPath, parentOf, ROOT } from "../../core/layer_path.ts";
import { effectiveUser } from "../../host/process.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { inUserNamespace } from "../../host/namespaces/user_namespace.ts";
import type { Changeset } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { WhiteoutDialect } from "../../changeset/stacked_view.ts";

/** Which attributes overlayfs keeps its marks in. */
export type MarkSpace = "trusted" | "user";

const YES = new TextEncoder().encode("y");
/** On a directory: it is not opaque, but files in it can be whiteouts. */
const HAS_FILE_WHITEOUTS = new TextEncoder().encode("x");
const DEVICE = { type: "char", mode: 0, major: 0, minor: 0 } as const;

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
}

/**
 * Writes a changeset's whiteouts into its tree. The times of the directories that receive them stay.
 *
 * A whiteout of something that does not exist below is left out: in a directory that is not merged with one below, the
 * kernel lists the device as an entry that nobody can open. So is one inside an opaque directory.
 */
export function writeWhiteouts({ tree, changeset, below, marks }: WhiteoutRequest): void {
  const opaques = new Set(changeset.opaques.filter((path) => path !== ROOT && tree.stat(path)?.type === "dir"));
  const hidden = new Set(changeset.whiteouts);
  // The kernel does not ask whether a layer's root is opaque, so every name in it is hidden.
  if (changeset.opaques.includes(ROOT)) { for (const { name } of below.list(ROOT)) hidden.add(joinPath(ROOT, name)); }
  const parents = new Map<LayerPath, FileStat>();
  for (const path of hidden) {
    const present = tree.stat(path);
    if (present?.type === "dir") opaques.add(path);
    if (present !== undefined || isCovered(path, opaques) || !liesBelow(below, path)) continue;
    const dir = parentOf(path);
    const stat = parents.get(dir) ?? tree.stat(dir);
    if (stat !== undefined) parents.set(dir, stat);
    tree.mknod(path, DEVICE);
  }
  for (const path of opaques) tree.setXattr(path, markName(marks, "opaque"), YES);
  for (const [path, { atime, mtime }] of parents) tree.setTimes(path, { atime, mtime });
}

/** Whether the path itself exists; what symlinks in its parents lead to does not count. */
function liesBelow(below: WhiteoutRequest["below"], path: LayerPath): boolean {
  const dir = parentOf(path);
  return below.resolve(dir) === dir && below.stat(path) !== undefined;
}

function isCovered(path: LayerPath, opaques: ReadonlySet<LayerPath>): boolean {
  return ancestorsOf(path).some((ancestor) => opaques.has(ancestor));
}
