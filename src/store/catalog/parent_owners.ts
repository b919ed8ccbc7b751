// SPDX-License-Identifier: Apache-2.0
/**
 * Which owners of the directories above a mount point a container could not see: where its maps do not hold them, it may
 * not be let through. containers/storage, layers.go, `ParentOwners`.
 *
 * @module
 */
import { dirname } from "node:path";
import { StrataError } from "../../core/errors.ts";
import { findContainerId } from "../../core/id_map.ts";
import { ownersOf } from "../../host/files.ts";
import type { StoreContext } from "../context.ts";
import { entryOf } from "./entry.ts";
import { findRecord } from "./find_record.ts";

/** Owners, ascending. */
export interface ParentOwners {
  /** Users. */
  readonly uids: readonly number[];
  /** Groups. */
  readonly gids: readonly number[];
}

/**
 * The owners of the directories above a record's mount point that its maps do not hold; none for a record without maps.
 * @throws {StrataError} `NOT_FOUND` when it is not mounted
 */
export function parentOwners(context: StoreContext, ref: string): ParentOwners {
  const { uidMap, gidMap, mountPoint, id } = entryOf(context, findRecord(context, ref));
  if (uidMap === undefined || gidMap === undefined) return { uids: [], gids: [] };
  if (mountPoint === undefined) {
    const message = `Cannot tell who owns what lies above the mount of "${id}": it is not mounted; mount it first`;
    throw new StrataError("NOT_FOUND", message, { kind: "mount", ref: id });
  }
  const owners = directoriesAbove(mountPoint).flatMap(ownersOf);
  const unmapped = (ids: readonly number[], map: typeof uidMap) =>
    map.length === 0 ? [] : ids.filter((each) => findContainerId(map, each) === undefined);
  return {
    uids: ascending(unmapped(owners.map(({ uid }) => uid), uidMap)),
    gids: ascending(unmapped(owners.map(({ gid }) => gid), gidMap)),
  };
}

/** From the nearest to the one below the root. */
function directoriesAbove(path: string): string[] {
  const above: string[] = [];
  for (let dir = dirname(path); dir !== "/"; dir = dirname(dir)) above.push(dir);
  return above;
}

function ascending(ids: readonly number[]): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}
