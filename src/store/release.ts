// SPDX-License-Identifier: Apache-2.0
/**
 * Releasing a handle, and deleting the layers that nothing needs any more, top to base.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { WithdrawnLayer } from "../metadata/layerdb.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { chainSizeBytes, readableRecord } from "./chains.ts";
import { type StoreContext, underLock } from "./context.ts";
import type { DeletedLayer, Layer } from "./layer.ts";
import { References } from "./references.ts";

/**
 * Takes a handle back, and deletes what nothing needs any more. While a dockerd holds the root nothing is deleted: that a
 * handle for reading ends must not fail, and what is left over goes later.
 * @throws {StrataError} `NOT_RETAINED`
 */
export async function release(context: StoreContext, layer: Layer): Promise<DeletedLayer[]> {
  context.handles.drop(layer);
  if (context.dockerd.find() !== undefined) return [];
  return await deleteUnneeded(context, layer.chainId);
}

/**
 * Deletes a layer and then the layers below it, as far as nothing needs them. What was deleted is returned, top first.
 * Records are withdrawn under the lock, all of them before any data is removed (I1); data is removed without the lock (I7).
 */
export async function deleteUnneeded(context: StoreContext, top: ChainId | undefined): Promise<DeletedLayer[]> {
  if (top === undefined || !context.layerDb.has(top)) return [];
  const going = await underLock(context, (lock) => withdrawUnneeded(context, lock, top));
  for (const { withdrawn } of going) await removeData(context, withdrawn);
  return going.map(({ deleted }) => deleted);
}

/** Removes a withdrawn layer's data, and then what is left of its record. */
export async function removeData(context: StoreContext, withdrawn: WithdrawnLayer): Promise<void> {
  if (withdrawn.cacheId !== undefined) await context.driver.remove(withdrawn.cacheId);
  context.layerDb.removeWithdrawn(withdrawn);
}

interface Going {
  readonly deleted: DeletedLayer;
  readonly withdrawn: WithdrawnLayer;
}

function withdrawUnneeded(context: StoreContext, lock: WriteLock, top: ChainId): Going[] {
  const references = new References(context);
  const going: Going[] = [];
  for (let next: ChainId | undefined = top; next !== undefined && references.to(next).length === 0;) {
    // A damaged layer stays, for it does not tell what it refers to.
    const record = readableRecord(context, next);
    if (record === undefined) break;
    const { chainId, diffId, parent, sizeBytes: diffSizeBytes } = record;
    const sizeBytes = chainSizeBytes(context, chainId);
    const withdrawn = context.layerDb.withdraw(lock, chainId);
    going.push({ withdrawn, deleted: { chainId, diffId, sizeBytes, diffSizeBytes } });
    references.forget(chainId, parent);
    next = parent;
  }
  return going;
}
