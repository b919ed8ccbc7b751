// SPDX-License-Identifier: Apache-2.0
/**
 * The homes in which the layers of one root of containers/storage lie: its own, and those of the roots in which its stacks
 * may go on.
 *
 * @module
 */
import { findContainerId, type IdMappings, type IdShift, isIdentity } from "../../core/id_map.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { type CacheId, parseOutsideId } from "../../core/ids.ts";
import { directoryExists, listNames } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { type LayerDir, MappedDir } from "../../changeset/mapped_dir.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { FoundLayer } from "../interfaces/proto_driver.ts";
import { modifiedMsOf } from "../parts/layer_directory.ts";

/** Where a layer lies: in the first home that has it, else where it would be in the root's own. */
export function locateIn(dirs: readonly string[], id: CacheId): LayerLocation {
  const [own = ""] = dirs;
  const dir = dirs.find((dir) => directoryExists(`${dir}/${id}`)) ?? own;
  return { cacheId: id, dir: `${dir}/${id}` };
}

/** A directory that is kept under mapped ids, shown under the archive's. It takes over the handle. */
export function shownUnmapped(
  dir: RootedDir,
  mappings: IdMappings,
  isMark?: (stat: FileStat) => boolean,
): LayerDir {
  if (isIdentity(mappings)) return dir;
  return new MappedDir(dir, { shift: lenientShift(mappings), ...(isMark === undefined ? {} : { isMark }) });
}

/**
 * As `containerShift`, but an id that the maps do not hold is shown as it is: that tool forgets to map some files, such as
 * those in a layer's root whose names have one character, and these keep the archive's owner.
 */
function lenientShift({ uids, gids }: IdMappings): IdShift {
  return {
    uid: (id) => findContainerId(uids, id) ?? id,
    gid: (id) => findContainerId(gids, id) ?? id,
  };
}

/** The names in a directory that can be ids of layers, and when each was last changed. */
export function findOutsideLayers(dir: string): FoundLayer[] {
  return listNames(dir).flatMap((name) => {
    const modifiedMs = directoryExists(`${dir}/${name}`) ? modifiedMsOf(`${dir}/${name}`) : undefined;
    const cacheId = outsideCacheId(name);
    return cacheId === undefined || modifiedMs === undefined ? [] : [{ cacheId, modifiedMs }];
  });
}

/** The layer that a directory's name means; `undefined` for other things. */
export function outsideCacheId(name: string): CacheId | undefined {
  try {
    return parseOutsideId(name).cacheId;
  } catch {
    return undefined;
  }
}
