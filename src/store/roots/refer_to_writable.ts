// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting writable layers of roots that are only read, such as containers' own: read-only, through a stand-in that has the
 * record of a writable layer here. It goes with its last mount; what a crash leaves, `recover` removes.
 *
 * Whoever owns the layer may write to it meanwhile. Then what is seen here is undefined, as overlayfs says of lower layers
 * that change; no other layer depends on it.
 *
 * @module
 */
import { digestHex, digestOf } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { type CacheId, parseCacheId, randomCacheId, type RecordId } from "../../core/ids.ts";
import { outsideLayersOf } from "../../driver/driver.ts";
import { directoryClaim } from "../../metadata/claims.ts";
import { type MountName, type MountRecord, parseMountName } from "../../metadata/mounts.ts";
import { namingRoot, type StoreContext, syncUnlessVolatile, underLock } from "../context.ts";
import type { HeldLayers } from "../held_layers.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";
import { ensureHere, requireSameDriver } from "./refer.ts";

/** What a writable layer of another root is called here, or the one that shows a record there, if it is here. */
export function outsideMountName(root: Pick<ReadOnlyRoot, "path">, name: MountName | RecordId): MountName {
  return parseMountName(`outside-${digestHex(digestOf(`${root.path}\0${name}`)).slice(0, 32)}`);
}

/** A writable layer of another root. */
export interface OutsideWritable {
  readonly root: ReadOnlyRoot;
  readonly name: MountName;
  /** The record there that stands for it, or would. Whoever mounts it has the claim on this id meanwhile. */
  readonly recordId: RecordId;
}

/**
 * Makes sure that the store has a writable layer of another root, by a stand-in.
 * @throws {StrataError} `NOT_FOUND` when the root has it no more; `NOT_SUPPORTED` when its root has another driver, or what it
 *   lies on has no ChainID; `NO_SPACE`, `LOCKED`
 */
export async function ensureWritableHere(
  context: StoreContext,
  { root, name, recordId }: OutsideWritable,
  held: HeldLayers,
): Promise<MountRecord> {
  const own = outsideMountName(root, name);
  if (context.mounts.has(own)) return context.mounts.read(own);
  requireSameDriver(context, root);
  const outside = root.reading.mounts.read(name);
  requireChain(root, outside);
  if (outside.parent !== undefined) await ensureHere(context, outside.parent, held);
  const mountId = randomCacheId();
  const { initId: _init, ...rest } = outside;
  const initId = outside.initId === undefined ? {} : { initId: parseCacheId(`${mountId}-init`) };
  const here = { name: own, mountId, created: new Date().toISOString(), outside: root.path, record: recordId };
  const record = { ...rest, ...initId, ...here };
  return await namingRoot(context, () => makeReference(context, { root, outside, record }));
}

interface WritableReference {
  readonly root: ReadOnlyRoot;
  readonly outside: MountRecord;
  readonly record: MountRecord;
}

async function makeReference(context: StoreContext, reference: WritableReference): Promise<MountRecord> {
  const { driver, mounts } = context;
  const { outside, record } = reference;
  // Until the record is there, the directories are garbage for gc.
  using _claim = await context.claims.take(directoryClaim(record.mountId));
  try {
    let below = record.parent === undefined ? undefined : context.layerDb.read(record.parent).cacheId;
    if (outside.initId !== undefined && record.initId !== undefined) {
      await standIn(context, reference, { id: record.initId, below, of: outside.initId });
      below = record.initId;
    }
    await standIn(context, reference, { id: record.mountId, below, of: outside.mountId });
    await syncUnlessVolatile(context, { fileSystems: [driver.spec.home], home: driver.spec });
    // Another process may have been faster; then its stand-in is used.
    const made = await underLock(context, (lock) => {
      if (mounts.has(record.name)) return mounts.read(record.name);
      mounts.create(lock, record);
      return record;
    });
    if (made !== record) await discard(context, record);
    return made;
  } catch (error) {
    await discard(context, record);
    throw error;
  }
}

async function standIn(
  { driver }: StoreContext,
  { root }: WritableReference,
  { id, below, of }: { readonly id: CacheId; readonly below: CacheId | undefined; readonly of: CacheId },
): Promise<void> {
  await outsideLayersOf(driver).createStandIn(id, below, outsideLayersOf(root.reading.driver).asOutside(of));
}

async function discard({ driver }: StoreContext, { mountId, initId }: MountRecord): Promise<void> {
  const ids = [mountId, initId].filter((id) => id !== undefined);
  await Promise.allSettled(ids.map((id) => driver.remove(id)));
}

/** A container on a container, as its tool allows it, lies on what no layer here could be. */
function requireChain({ path, reading }: ReadOnlyRoot, { name, mountId, initId, parent }: MountRecord): void {
  if (parent !== undefined || initId !== undefined || reading.driver.parentsOf(mountId).length === 0) return;
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot mount "${name}" of "${path}": it lies on a layer that has no DiffID; copy that with "strata adopt", or mount it there`,
    { feature: "writable layers on layers without a DiffID" },
  );
}
