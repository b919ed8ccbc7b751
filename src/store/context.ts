// SPDX-License-Identifier: Apache-2.0
/**
 * What every verb of the store works with.
 *
 * @module
 */
import { hasCode, StrataError } from "../core/errors.ts";
import type { Limits } from "../core/limits.ts";
import type { Durability } from "../host/durable.ts";
import type { BigDataFiles } from "../metadata/catalog/big_data_files.ts";
import type { CatalogRecords } from "../metadata/catalog/catalog_records.ts";
import type { Claims } from "../metadata/claims.ts";
import type { DockerdGuard } from "../metadata/dockerd.ts";
import type { Holds } from "../metadata/holds.ts";
import type { ImageDb } from "../metadata/imagedb.ts";
import type { LayerDb } from "../metadata/layerdb.ts";
import type { StoreLayout } from "../metadata/layout.ts";
import type { LayerUsers } from "../metadata/layer_users.ts";
import type { MountCounts } from "../metadata/mount_counts.ts";
import type { MountRecords } from "../metadata/mounts.ts";
import type { StagingArea } from "../metadata/staging.ts";
import { withWriteLock, type WriteLock } from "../metadata/write_lock.ts";
import type { SyncRequest } from "../worker/jobs/sync.ts";
import type { Handles } from "./handles.ts";
import type { ReadingContext } from "./reading.ts";
import { allUses } from "./all_uses.ts";
import type { ReadOnlyRoot } from "./roots/read_only_root.ts";

/** The parts of an open store. None of them caches what is on disk: other processes change it at any time. */
export interface StoreContext extends ReadingContext {
  readonly layout: StoreLayout;
  /** To be asked before anything is written below the root; {@link underLock} does so itself. */
  readonly dockerd: DockerdGuard;
  readonly layerDb: LayerDb;
  readonly mounts: MountRecords;
  readonly mountCounts: MountCounts;
  readonly catalog: CatalogRecords;
  /** Who refers to which layer, as a note that the records are compared with. */
  readonly users: LayerUsers;
  readonly bigData: BigDataFiles;
  readonly images: ImageDb;
  readonly staging: StagingArea;
  readonly holds: Holds;
  /** What this and other processes are making or removing now. */
  readonly claims: Claims;
  readonly handles: Handles;
  /** Further roots, whose layers are used and never changed; in the order of their lookup. */
  readonly readOnlyRoots: readonly ReadOnlyRoot[];
  readonly settings: StoreSettings;
}

/** What a caller may set when opening a store. */
export interface StoreSettings {
  readonly durability: Durability;
  /** How long to wait for another process's lock. Milliseconds. */
  readonly lockTimeoutMs: number;
  readonly limits: Limits;
}

/**
 * Runs `act` under the store's write lock: for commits and removals only, never while bytes flow (I7).
 * @throws {StrataError} `LOCKED` also while a dockerd holds the root
 */
export async function underLock<T>(
  context: StoreContext,
  act: (lock: WriteLock) => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { lockTimeoutMs: timeoutMs } = context.settings;
  const options = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
  context.dockerd.requireAbsent();
  return await namingRoot(context, () =>
    withWriteLock(context.layout, options, async (lock) => {
      context.dockerd.requireAbsent();
      noteUsers(context, lock);
      try {
        return await act(lock);
      } finally {
        context.users.confirm(lock);
      }
    }));
}

/** Where it is not known who refers to which layer, all records are read once. */
function noteUsers(context: StoreContext, lock: WriteLock): void {
  if (context.users.isComplete()) return;
  const { uses, state } = allUses(context);
  if (state === "whole") context.users.remake(lock, uses);
  else context.users.doubt(lock);
}

/**
 * Runs `act`, and names the store's root when its disk is full: files are written below open directories, so the failure
 * itself knows the end of a path at most, and of one that is removed again.
 * @throws {StrataError} `NO_SPACE` with the root; any other error as it is
 */
export async function namingRoot<T>({ layout }: Pick<StoreContext, "layout">, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!hasCode(error, "NO_SPACE") || error.detail.path.startsWith("/")) throw error;
    const path = layout.root;
    const message =
      `Cannot write to the store at "${path}": no space is left; free space or inodes on that file system, ` +
      "or raise the quota";
    throw new StrataError("NO_SPACE", message, { path }, { cause: error });
  }
}

/** Waits for the device, off the event loop, unless the store is not to be durable. */
export async function syncUnlessVolatile({ pool, settings }: StoreContext, request: SyncRequest): Promise<void> {
  if (settings.durability === "full") await pool.run("sync", request);
}
