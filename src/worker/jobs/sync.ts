// SPDX-License-Identifier: Apache-2.0
/**
 * Waiting for the device, off the event loop: it may take seconds on a busy disk.
 *
 * @module
 */
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import { loadDriver } from "../../driver/registry.ts";
import { syncDir, syncFileSystemOf } from "../../host/durable.ts";

/** What must be on the device. */
export interface SyncRequest {
  /** Paths whose whole file systems are synced: one call for all the files of a layer. */
  readonly fileSystems?: readonly string[];
  /** A driver whose home's entries are synced: published layers. */
  readonly home?: DriverSpec;
  /** Directories whose entries are synced: renames, new names. */
  readonly dirs?: readonly string[];
}

/** Syncs in the order of the request: what names refer to, before the names. */
export async function sync(request: SyncRequest): Promise<void> {
  for (const path of request.fileSystems ?? []) syncFileSystemOf(path);
  if (request.home !== undefined) (await loadDriver(request.home)).syncHome();
  for (const path of request.dirs ?? []) syncDir(path);
}
