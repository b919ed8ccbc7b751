// SPDX-License-Identifier: Apache-2.0
/**
 * Removing a writable layer, and then the layers below it that nothing else needs. moby, layer/layer_store.go,
 * `ReleaseRWLayer`.
 *
 * @module
 */
import { hasCode, StrataError } from "../core/errors.ts";
import { directoryClaim } from "../metadata/claims.ts";
import { type MountName, type MountRecord, parseMountName } from "../metadata/mounts.ts";
import { type StoreContext, underLock } from "./context.ts";
import type { DeletedLayer } from "./layer.ts";
import { mountCount, requireFree, unmountTarget } from "./mount.ts";
import { deleteUnneeded } from "./release.ts";
import { RWLayer } from "./rw_layer.ts";

/** How a writable layer is removed. */
export interface ReleaseRWLayerOptions {
  /** What to do when it is mounted: refuse, or unmount it for everybody. Default `refuse`. */
  readonly whenMounted?: "refuse" | "unmount";
}

/** What is known of a writable layer: of a damaged one not all. */
type KnownMount = Pick<MountRecord, "name"> & Partial<MountRecord>;

/**
 * Gives a handle back, and removes the writable layer with all its changes when it was the last handle of this process; by
 * name, whatever handles there are. What went with it is returned.
 *
 * When the removal fails, the handle is as it was, so that it can be tried again. The handle of one that is gone is
 * given back without a word.
 * @throws {StrataError} `NOT_RETAINED` for a handle that was given back before; `NOT_FOUND` for a name; `IN_USE` when it
 *   is mounted; `LOCKED`
 */
export async function releaseRWLayer(
  context: StoreContext,
  layer: RWLayer | string,
  options: ReleaseRWLayerOptions = {},
): Promise<DeletedLayer[]> {
  context.dockerd.requireAbsent();
  if (layer instanceof RWLayer) return await releaseHandle(context, layer, options);
  return await remove(context, knownOf(context, parseMountName(layer)), options);
}

async function releaseHandle(
  context: StoreContext,
  layer: RWLayer,
  options: ReleaseRWLayerOptions,
): Promise<DeletedLayer[]> {
  const known = context.mounts.has(layer.name) ? knownOf(context, layer.name) : undefined;
  // A damaged record may not tell its directory any more; then the name is all there is.
  if (known === undefined || (known.mountId ?? layer.mountId) !== layer.mountId) {
    context.handles.forgetRW(layer.mountId);
    return [];
  }
  if (context.handles.dropRW(layer) > 0) return [];
  try {
    return await remove(context, { mountId: layer.mountId, ...known }, options);
  } catch (error) {
    context.handles.restoreRW(layer);
    throw error;
  }
}

/** A damaged record must not keep its data, nor the layers below, for ever. */
function knownOf({ mounts }: StoreContext, name: MountName): KnownMount {
  try {
    return mounts.read(name);
  } catch (error) {
    if (!hasCode(error, "CORRUPT")) throw error;
    const { mountId, initId, parent } = mounts.list().broken.find(({ subject }) => subject === name) ?? {};
    return {
      name,
      ...(mountId === undefined ? {} : { mountId }),
      ...(initId === undefined ? {} : { initId }),
      ...(parent === undefined ? {} : { parent }),
    };
  }
}

async function remove(
  context: StoreContext,
  known: KnownMount,
  options: ReleaseRWLayerOptions,
): Promise<DeletedLayer[]> {
  const { driver, handles, mounts } = context;
  const { name, mountId, initId, parent } = known;
  if (mountId !== undefined) await requireUnmounted(context, { ...known, mountId }, options);
  using _claim = mountId === undefined ? undefined : await context.claims.take(directoryClaim(mountId));
  await underLock(context, (lock) => mounts.remove(lock, name));
  if (mountId !== undefined) handles.forgetRW(mountId);
  const ids = [mountId, initId].filter((id) => id !== undefined);
  const outcomes = await Promise.allSettled(ids.map((id) => driver.remove(id)));
  // Without a record it needs the layers below no more, whatever is left of its data.
  const deleted = await deleteUnneeded(context, parent);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return deleted;
}

async function requireUnmounted(
  context: StoreContext,
  record: MountRecord,
  options: ReleaseRWLayerOptions,
): Promise<void> {
  requireFree(context, { kind: "writable", record });
  const count = mountCount(context, record.mountId, "writable");
  if (count === 0) return;
  if (options.whenMounted !== "unmount") throw mounted(record, count);
  await unmountTarget(context, { kind: "writable", record }, { release: "all" });
}

function mounted({ name }: MountRecord, count: number): StrataError {
  return new StrataError(
    "IN_USE",
    `Cannot remove writable layer "${name}": it is mounted (${count}); unmount it first, or use force`,
    { kind: "writable layer", name, usedBy: [`${count} mount${count === 1 ? "" : "s"}`] },
  );
}
