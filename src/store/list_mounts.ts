// SPDX-License-Identifier: Apache-2.0
/**
 * Listing what is mounted.
 *
 * @module
 */
import type { CacheId } from "../core/ids.ts";
import type { StoreContext } from "./context.ts";
import { type MountTarget, ownMountCount } from "./mount.ts";
import { mountedIds } from "./mounted_ids.ts";

/** Something that is mounted. */
export interface MountedTarget {
  /** What is mounted. */
  readonly target: MountTarget;
  /** Where its tree is. */
  readonly path: string;
  /** How often. */
  readonly count: number;
}

/** What is mounted, as counts and the kernel agree: writable layers by name, then stacks of layers. */
export function listMounts(context: StoreContext): MountedTarget[] {
  return targets(context, mountedIds(context)).flatMap((target) => {
    const [id, access] = target.kind === "layer"
      ? [target.record.cacheId, "read-only"] as const
      : [target.record.mountId, "writable"] as const;
    const count = ownMountCount(context, id, access);
    return count === 0 ? [] : [{ target, path: context.driver.treeOf(id, access).path, count }];
  });
}

function targets({ mounts, layerDb }: StoreContext, mounted: ReadonlySet<CacheId>): MountTarget[] {
  const writable = Array.from(mounts.list().mounts.values(), (record) => ({ kind: "writable", record }) as const);
  const layers = Array.from(layerDb.list().layers.values(), (record) => ({ kind: "layer", record }) as const);
  return [
    ...writable.filter(({ record }) => mounted.has(record.mountId)),
    ...layers.filter(({ record }) => mounted.has(record.cacheId)),
  ];
}
