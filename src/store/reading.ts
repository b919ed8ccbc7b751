// SPDX-License-Identifier: Apache-2.0
/**
 * What verbs that only read work with: a store's own root, or one of another tool that is only looked at. Listing,
 * resolving, exporting, verifying and comparing ask for no more than this, so they do not know whose root it is.
 *
 * @module
 */
import type { Driver } from "../driver/driver.ts";
import type { CatalogRecords } from "../metadata/catalog/catalog_records.ts";
import type { LayerDb } from "../metadata/layerdb.ts";
import type { MountRecords } from "../metadata/mounts.ts";
import type { WorkerPool } from "../worker/pool.ts";

/** Reads layers' records. */
export type LayerReader = Pick<LayerDb, "list" | "chainIds" | "read" | "findSound" | "has" | "tarSplitPath">;

/** Reads writable layers' records. */
export type MountReader = Pick<MountRecords, "list" | "read" | "has">;

/** Reads catalog records. */
export type CatalogReader = Pick<
  CatalogRecords,
  "list" | "get" | "has" | "findByName" | "getByName" | "resolve" | "referencesTo"
>;

/** The parts of a root that is read. None of them caches what is on disk, and none writes. */
export interface ReadingContext {
  readonly layerDb: LayerReader;
  readonly mounts: MountReader;
  readonly catalog: CatalogReader;
  readonly driver: Driver;
  readonly pool: WorkerPool;
}
