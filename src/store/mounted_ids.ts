// SPDX-License-Identifier: Apache-2.0
/**
 * Which directories may be mounted: few, so that lists of thousands ask the kernel about these only.
 *
 * @module
 */
import { type CacheId, isCacheId } from "../core/ids.ts";
import { mountsBelow } from "../host/mount_table.ts";
import { attempt } from "../metadata/record_file.ts";
import type { StoreContext } from "./context.ts";

/**
 * The layers that have counts, and those that the kernel has mounts of: counts are notes in the run root, and go when that
 * is emptied. How often each is mounted, `ownMountCount` tells.
 */
export function mountedIds({ mountCounts, driver }: StoreContext): ReadonlySet<CacheId> {
  const { home } = driver.spec;
  // Where no kernel tells of mounts, no driver makes any.
  const mounts = attempt(() => mountsBelow(home)) ?? [];
  const names = mounts.flatMap(({ mountPoint }) => mountPoint.slice(home.length).split("/"));
  return new Set([...mountCounts.list(), ...names.filter(isCacheId)]);
}
