// SPDX-License-Identifier: Apache-2.0
/**
 * Deleting layers that nothing needs: for releases, and for gc.
 *
 *   write lock:  who needs what? ─▶ announce ─▶ who needs what now? ─▶ withdraw the records ●
 *   then:        sync ─▶ remove the data
 *
 * What may come to need a layer without the write lock, a hold or a mount, waits for the announcement or is seen by the
 * second look (`metadata/holds.ts`); everything else comes under the lock. Once a record is withdrawn its layer is
 * deleted, whatever becomes of the data: a failure there is part of the result, and leaves an orphan for gc.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { StrataError } from "../core/errors.ts";
import { asStrataError } from "../metadata/finding.ts";
import { type Claim, directoryClaim } from "../metadata/claims.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { WithdrawnLayer } from "../metadata/layerdb.ts";
import { attempt } from "../metadata/record_file.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { chainSizeBytes, readableRecord } from "./chains.ts";
import { type StoreContext, syncUnlessVolatile, underLock } from "./context.ts";
import type { DeletedLayer } from "./layer.ts";
import { References } from "./references.ts";

/**
 * Deletes those of some layers, children before parents, that nothing needs, and returns them in the same order. Records
 * are withdrawn under the lock, all of them before any data is removed (I1); data is removed without the lock (I7).
 * @throws {StrataError} `LOCKED`; any failure of the first withdrawal, in which case nothing has changed
 */
export async function deleteLayers(context: StoreContext, candidates: readonly ChainId[]): Promise<DeletedLayer[]> {
  if (candidates.length === 0) return [];
  const going = await underLock(context, (lock) => withdrawUnneeded(context, lock, candidates));
  if (going.length === 0) return [];
  const unsynced = await failureOf(() => syncUnlessVolatile(context, { dirs: [context.layout.layersDir] }));
  const deleted: DeletedLayer[] = [];
  for (const { layer, withdrawn, claim } of going) {
    using _claim = claim;
    const remains = unsynced ?? await failureOf(() => removeData(context, withdrawn));
    deleted.push(remains === undefined ? layer : { ...layer, remains });
  }
  return deleted;
}

/**
 * Removes a withdrawn layer's data, and then what is left of its record.
 * @throws {StrataError} what is left then is an orphan
 */
export async function removeData(context: StoreContext, withdrawn: WithdrawnLayer): Promise<void> {
  if (withdrawn.cacheId !== undefined) await context.driver.remove(withdrawn.cacheId);
  await underLock(context, (lock) => context.layerDb.removeWithdrawn(lock, withdrawn));
}

interface Going {
  readonly layer: DeletedLayer;
  readonly withdrawn: WithdrawnLayer;
  /** On the data, so that no gc removes it at the same time. Absent: the disk is full. */
  readonly claim: Claim | undefined;
}

/** Without a pause, so that no other operation of this process comes between the second look and its consequence. */
function withdrawUnneeded(context: StoreContext, lock: WriteLock, candidates: readonly ChainId[]): Going[] {
  const doomed = unneededOf(context, candidates).map(({ chainId }) => chainId);
  if (doomed.length === 0) return [];
  using _announced = context.holds.announceRemoval(lock, doomed);
  const going: Going[] = [];
  for (const record of unneededOf(context, doomed)) {
    try {
      going.push(withdraw(context, lock, record));
    } catch (error) {
      // What went before is gone, and said to be; this one and those below it are whole, and wait for gc.
      if (going.length === 0) throw error;
      break;
    }
  }
  return going;
}

function withdraw(context: StoreContext, lock: WriteLock, record: LayerRecord): Going {
  const { chainId, diffId, sizeBytes: diffSizeBytes } = record;
  const layer = { chainId, diffId, sizeBytes: chainSizeBytes(context, chainId), diffSizeBytes };
  const claim = attempt(() => context.claims.tryTake(directoryClaim(record.cacheId)));
  try {
    return { layer, claim, withdrawn: context.layerDb.withdraw(lock, chainId) };
  } catch (error) {
    claim?.[Symbol.dispose]();
    throw error;
  }
}

/** Those that nothing needs but others of them. A damaged layer stays, for it does not tell what it refers to. */
function unneededOf(context: StoreContext, candidates: readonly ChainId[]): LayerRecord[] {
  const references = new References(context);
  return candidates.flatMap((chainId) => {
    const record = references.any(chainId) ? undefined : readableRecord(context, chainId);
    if (record !== undefined) references.forget(chainId);
    return record ?? [];
  });
}

async function failureOf(act: () => Promise<void>): Promise<StrataError | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return asStrataError(error, "remove a layer's data");
  }
}
