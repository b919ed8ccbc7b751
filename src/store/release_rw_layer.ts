// SPDX-License-Identifier: Apache-2.0
/**
 * Removing a writable layer, and then the layers below it that nothing else needs.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import type { MountName, MountRecord } from "../metadata/mounts.ts";
import { type StoreContext, underLock } from "./context.ts";
import type { DeletedLayer } from "./layer.ts";
import { mountCount, unmountTarget } from "./mount.ts";
import { deleteUnneeded } from "./release.ts";

/** How a writable layer is removed. */
export interface ReleaseRWLayerOptions {
  /** What to do when it is mounted: refuse, or unmount it for everybody. Default `refuse`. */
  readonly whenMounted?: "refuse" | "unmount";
}

/**
 * Removes a writable layer with all its changes. What went with it is returned.
 * @throws {StrataError} `NOT_FOUND`; `IN_USE` when it is mounted
 */
export async function releaseRWLayer(
  context: StoreContext,
  name: MountName,
  options: ReleaseRWLayerOptions = {},
): Promise<DeletedLayer[]> {
  const record = context.mounts.read(name);
  const count = mountCount(context, record.mountId, "writable");
  if (count > 0) {
    if (options.whenMounted !== "unmount") throw mounted(record, count);
    await unmountTarget(context, { kind: "writable", record }, { release: "all" });
  }
  await underLock(context, (lock) => context.mounts.remove(lock, name));
  await context.driver.remove(record.mountId);
  if (record.initId !== undefined) await context.driver.remove(record.initId);
  return await deleteUnneeded(context, record.parent);
}

function mounted({ name }: MountRecord, count: number): StrataError {
  return new StrataError(
    "IN_USE",
    `Cannot remove writable layer "${name}": it is mounted (${count}); unmount it first, or use force`,
    { kind: "writable layer", name, usedBy: [`${count} mount${count === 1 ? "" : "s"}`] },
  );
}
