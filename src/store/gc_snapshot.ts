// SPDX-License-Identifier: Apache-2.0
/**
 * Looking at all of a store, for gc and fsck. Nothing is changed.
 *
 * @module
 */
import type { CacheId } from "../core/ids.ts";
import { findLeftTrials } from "../driver/overlay/mounting/namespace_trial.ts";
import { directoryClaim, recordClaim } from "../metadata/claims.ts";
import { attempt } from "../metadata/record_file.ts";
import { listTemporaryFiles } from "../metadata/temporary_files.ts";
import { leftData, leftMounts } from "./catalog/leftovers.ts";
import type { StoreContext } from "./context.ts";
import type { GcSnapshot } from "./gc_plan.ts";
import { mountCount } from "./mount.ts";
import { countUsers } from "./references.ts";

/** What gc decides by. */
export function readSnapshot(context: StoreContext): GcSnapshot {
  const { driver, layerDb, staging, holds, claims, mountCounts, catalog, layout } = context;
  const directories = driver.list();
  const { named, needed } = namedDirectories(context);
  const orphans = layerDb.orphans();
  const debris = driver.debris();
  const ids = [...directories, ...orphans, ...debris].flatMap(({ cacheId }) => cacheId ?? []);
  return {
    ...layersOf(context),
    orphans,
    directories,
    named,
    needed,
    claimed: new Set(ids.filter((id) => !named.has(id) && claims.isTaken(directoryClaim(id)))),
    debris,
    staging: staging.list(),
    temporary: listTemporaryFiles(layout),
    trials: findLeftTrials(layout.root),
    deadHolds: holds.dead(),
    deadClaims: claims.dead(),
    staleCounts: mountCounts.stale((id) => isMounted(context, id)),
    leftMounts: leftMounts(context).filter(({ record, mountId }) =>
      !claims.isTaken(recordClaim(record)) && !isMounted(context, mountId)
    ),
    leftData: leftData(context).filter(({ record }) => !claims.isTaken(recordClaim(record))),
    strayNames: catalog.nameFindings().flatMap(({ record, file }) => record === undefined ? [file] : []),
  };
}

/** The directories that records name, damaged ones included, and those that they rely on. */
export function namedDirectories(
  { driver, layerDb, mounts }: StoreContext,
): { readonly named: ReadonlySet<CacheId>; readonly needed: ReadonlySet<CacheId> } {
  const { layers, broken } = layerDb.list();
  const writable = mounts.list();
  const named = new Set([
    ...[...layers.values(), ...broken].flatMap(({ cacheId }) => cacheId ?? []),
    ...[...writable.mounts.values(), ...writable.broken].flatMap(({ mountId, initId }) => [
      ...mountId === undefined ? [] : [mountId],
      ...initId === undefined ? [] : [initId],
    ]),
  ]);
  return { named, needed: new Set([...named].flatMap((id) => driver.needsOf(id))) };
}

/** Whether a layer's directory is mounted, be it a writable one or not; of a damaged one, it is taken to be. */
export function isMounted(context: StoreContext, id: CacheId): boolean {
  if (!context.driver.exists(id)) return false;
  const counts = (["read-only", "writable"] as const).map((access) => attempt(() => mountCount(context, id, access)));
  return counts.some((count) => count === undefined || count > 0);
}

function layersOf(context: StoreContext): Pick<GcSnapshot, "layers" | "userCounts"> {
  const listing = context.layerDb.list();
  const layers = Array.from(listing.layers.values(), (record) => {
    // One that has just gone is no victim.
    return { ...record, recordedMs: context.layerDb.recordedMs(record.chainId) ?? Infinity };
  });
  return { layers, userCounts: countUsers(context, listing) };
}
