// SPDX-License-Identifier: Apache-2.0
/**
 * Making and removing the directories of layers, with exactly the modes they must have, whatever the umask.
 *
 * @module
 */
import { basename, dirname } from "node:path";
import { fromText } from "../../core/bytes.ts";
import { type IdShift, shiftOwner } from "../../core/id_map.ts";
import { parseLayerPath, ROOT } from "../../core/layer_path.ts";
import { isCacheId, randomCacheId } from "../../core/ids.ts";
import { isOsError } from "../../host/errno.ts";
import { listNames, statPath } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { shiftXattr } from "../../changeset/owner_xattrs.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { LayerSealer } from "../interfaces/layer_sealer.ts";
import type { FoundLayer } from "../interfaces/proto_driver.ts";

/**
 * Makes a directory with exactly this mode.
 * @throws {OsError} `EEXIST` when the name is taken
 */
export function makeDirectory(path: string, mode: number): void {
  using parent = RootedDir.open(dirname(path));
  parent.mkdir(parseLayerPath(fromText(basename(path))), mode);
}

/** The directory in which a driver's layers lie, one and the same for all of them. */
export function layersDirOf(driver: Pick<LayerSealer, "locate">): string {
  return dirname(driver.locate(randomCacheId()).dir);
}

/** The names in a directory that are ids of layers, and when each was last changed. */
export function findLayers(path: string): FoundLayer[] {
  return listNames(path).flatMap((name) => {
    const modifiedMs = modifiedMsOf(`${path}/${name}`);
    return !isCacheId(name) || modifiedMs === undefined ? [] : [{ cacheId: name, modifiedMs }];
  });
}

/** When an inode was last changed; `undefined` when there is none. Not its mtime, which may be an archive's. */
export function modifiedMsOf(path: string): number | undefined {
  const stat = statPath(path);
  return stat && stat.ctime.sec * 1000 + Math.floor(stat.ctime.nsec / 1e6);
}

/** Removes a mount point. One that is gone, or in which somebody left something, stays as it is. */
export function removeMountPoint(path: string): void {
  try {
    using parent = RootedDir.open(dirname(path));
    parent.rmdir(parseLayerPath(fromText(basename(path))));
  } catch (error) {
    if (!isOsError(error, "ENOENT", "ENOTEMPTY", "EBUSY")) throw error;
  }
}

/**
 * Gives a root directory, which no entry of a tree describes, the owner, mode, attributes and times of another's.
 * @param shift from the ids that the view shows to those of the directory
 */
export function copyRootMetadata(from: TreeView, to: RootedDir, { shift }: { readonly shift: IdShift }): void {
  const stat = from.stat(ROOT);
  if (stat === undefined) return;
  const { uid, gid } = shiftOwner(shift, stat);
  to.setOwner(ROOT, uid, gid);
  to.setMode(ROOT, stat.mode);
  for (const [name, value] of from.xattrs(ROOT)) to.setXattr(ROOT, name, shiftXattr(name, value, shift));
  to.setTimes(ROOT, { atime: stat.atime, mtime: stat.mtime });
}
