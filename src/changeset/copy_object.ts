// SPDX-License-Identifier: Apache-2.0
/**
 * Copying single objects from one tree into another, as they are.
 *
 * @module
 */
import type { FileStat } from "../core/file_stat.ts";
import { type IdShift, NO_SHIFT, shiftOwner } from "../core/id_map.ts";
import type { LayerPath } from "../core/layer_path.ts";
import { copyContent } from "../host/copy_tree.ts";
import { isOsError } from "../host/errno.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Ownership } from "./change.ts";
import { giveOwner } from "./give_owner.ts";
import { shiftXattr } from "./owner_xattrs.ts";
import type { TreeView } from "./tree_view.ts";

/** Where objects are copied from: a view, or a directory. */
export type ObjectSource = Pick<TreeView, "stat" | "readlink" | "openRead" | "xattrs">;

/** From where to where, and for whom. */
export interface CopyRoute {
  readonly from: ObjectSource;
  readonly to: RootedDir;
  readonly ownership: Ownership;
  /** From the ids that the source shows to those of the target. Absent: they are the same. */
  readonly shift?: IdShift;
}

/** One object's paths in both trees, and what it is. */
export interface CopyItem {
  readonly source: LayerPath;
  readonly target: LayerPath;
  readonly stat: FileStat;
}

const FILE_MODE = 0o600;
const DIR_MODE = 0o700;

/**
 * Copies an object under a new name, metadata included; of a directory the bare directory, its metadata left for when
 * it is filled.
 * @throws {OsError}
 */
export function copyObject(route: CopyRoute, item: CopyItem): void {
  const { from, to } = route;
  const { source, target, stat } = item;
  switch (stat.type) {
    case "dir":
      return to.mkdir(target, DIR_MODE);
    case "file":
      copyFile(route, item);
      break;
    case "symlink":
      to.symlink(target, from.readlink(source));
      break;
    default:
      to.mknod(target, { type: stat.type, mode: FILE_MODE, major: stat.rdevMajor, minor: stat.rdevMinor });
  }
  copyMetadata(route, item);
  to.setTimes(target, stat);
}

/**
 * Gives an object the owner, attributes and mode of another; times are the caller's, since they come last.
 * @throws {OsError}
 */
export function copyMetadata(route: CopyRoute, { source, target, stat }: CopyItem): void {
  const { from, to, ownership, shift = NO_SHIFT } = route;
  const owner = shiftOwner(shift, stat);
  giveOwner(ownership, () => to.setOwner(target, owner.uid, owner.gid));
  for (const [name, value] of from.xattrs(source)) {
    try {
      to.setXattr(target, name, shiftXattr(name, value, shift));
    } catch (error) {
      // Without privilege the attributes of a label or of root's cannot be repeated, and need not be.
      if (ownership === "archive" || !isOsError(error, "EPERM", "EACCES", "EOPNOTSUPP")) throw error;
    }
  }
  if (stat.type !== "symlink") to.setMode(target, stat.mode);
}

function copyFile({ from, to }: CopyRoute, { source, target }: CopyItem): void {
  using input = from.openRead(source);
  using output = to.create(target, FILE_MODE);
  copyContent(input, output);
}
