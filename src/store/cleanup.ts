// SPDX-License-Identifier: Apache-2.0
/**
 * Finishing what was begun: deletions that were cut short, by this store or by Docker, and mounts that nobody counts any
 * more. moby, layer/layer_store.go, `Cleanup`. It is asked for explicitly, since opening a store deletes nothing (I8).
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { StrataError } from "../core/errors.ts";
import { directoryClaim } from "../metadata/claims.ts";
import { asStrataError } from "../metadata/finding.ts";
import type { WithdrawnLayer } from "../metadata/layerdb.ts";
import { type StoreContext, underLock } from "./context.ts";
import { removeData } from "./delete_layers.ts";
import { listMounts } from "./list_mounts.ts";

/** What a cleanup did. */
export interface CleanupReport {
  /** Layers whose deletion was finished. */
  readonly finished: readonly ChainId[];
  /** Those whose deletion failed once more; it can be tried again. */
  readonly failed: readonly { readonly chainId: ChainId; readonly error: StrataError }[];
}

/**
 * Finishes deletions. When nothing of this store is mounted, the driver lets go of all that is mounted below its home.
 * @throws {StrataError} `LOCKED`; `IO` when something stays mounted
 */
export async function cleanup(context: StoreContext): Promise<CleanupReport> {
  const orphans = await underLock(context, () => unowned(context));
  const finished: ChainId[] = [];
  const failed: { chainId: ChainId; error: StrataError }[] = [];
  for (const orphan of orphans) {
    const { chainId, cacheId } = orphan;
    using claim = cacheId === undefined ? undefined : context.claims.tryTake(directoryClaim(cacheId));
    // Whoever has the claim is at it.
    if (cacheId !== undefined && claim === undefined) continue;
    try {
      await removeData(context, orphan);
      finished.push(chainId);
    } catch (error) {
      failed.push({ chainId, error: asStrataError(error, `finish the deletion of layer ${chainId}`) });
    }
  }
  if (listMounts(context).length === 0) await context.driver.cleanup();
  return { finished, failed };
}

/** A record that was moved aside may name a directory that a live one names, too: that directory stays. */
function unowned({ layerDb, mounts }: StoreContext): WithdrawnLayer[] {
  const { layers, broken } = layerDb.list();
  const writable = mounts.list();
  const owned = new Set([
    ...[...layers.values(), ...broken].map(({ cacheId }) => cacheId),
    ...[...writable.mounts.values(), ...writable.broken].flatMap(({ mountId, initId }) => [mountId, initId]),
  ]);
  return layerDb.orphans().map((orphan) => {
    const { chainId, path, cacheId } = orphan;
    return cacheId !== undefined && owned.has(cacheId) ? { chainId, path } : orphan;
  });
}
