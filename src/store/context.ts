// SPDX-License-Identifier: Apache-2.0
/**
 * What every verb of the store works with.
 *
 * @module
 */
import type { Limits } from "../core/limits.ts";
import type { Driver } from "../driver/driver.ts";
import type { Durability } from "../host/durable.ts";
import type { CatalogRecords } from "../metadata/catalog_records.ts";
import type { Holds } from "../metadata/holds.ts";
import type { ImageDb } from "../metadata/imagedb.ts";
import type { LayerDb } from "../metadata/layerdb.ts";
import type { StoreLayout } from "../metadata/layout.ts";
import type { MountCounts } from "../metadata/mount_counts.ts";
import type { MountRecords } from "../metadata/mounts.ts";
import type { StagingArea } from "../metadata/staging.ts";
import { withWriteLock, type WriteLock } from "../metadata/write_lock.ts";
import type { SyncRequest } from "../worker/jobs/sync.ts";
import type { WorkerPool } from "../worker/pool.ts";
import type { Handles } from "./handles.ts";

/** The parts of an open store. None of them caches what is on disk: other processes change it at any time. */
export interface StoreContext {
  readonly layout: StoreLayout;
  readonly driver: Driver;
  readonly layerDb: LayerDb;
  readonly mounts: MountRecords;
  readonly mountCounts: MountCounts;
  readonly catalog: CatalogRecords;
  readonly images: ImageDb;
  readonly staging: StagingArea;
  readonly holds: Holds;
  readonly handles: Handles;
  readonly pool: WorkerPool;
  readonly settings: StoreSettings;
}

/** What a caller may set when opening a store. */
export interface StoreSettings {
  readonly durability: Durability;
  /** How long to wait for another process's lock. Milliseconds. */
  readonly lockTimeoutMs: number;
  readonly limits: Limits;
}

/** Runs `act` under the store's write lock: for commits and removals only, never while bytes flow (I7). */
export function underLock<T>(
  { layout, settings }: StoreContext,
  act: (lock: WriteLock) => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const timeoutMs = settings.lockTimeoutMs;
  return withWriteLock(layout, signal === undefined ? { timeoutMs } : { timeoutMs, signal }, act);
}

/** Waits for the device, off the event loop, unless the store is not to be durable. */
export async function syncUnlessVolatile({ pool, settings }: StoreContext, request: SyncRequest): Promise<void> {
  if (settings.durability === "full") await pool.run("sync", request);
}
