// SPDX-License-Identifier: Apache-2.0
/**
 * What a store is and what it can do here.
 *
 * @module
 */
import type { DriverCapabilities } from "../driver/interfaces/driver_spec.ts";
import type { StatusRow } from "../driver/interfaces/proto_driver.ts";
import { fileSystemOf } from "../host/fs_info.ts";
import type { StoreContext } from "./context.ts";

/** What `strata info` prints. */
export interface StoreInfo {
  /** Where the store lies, without symlinks. */
  readonly root: string;
  /** The driver's name. */
  readonly driver: string;
  /** What the driver can do here. */
  readonly capabilities: DriverCapabilities;
  /** What the driver tells of itself. */
  readonly status: readonly StatusRow[];
  /** The file system that the store lies on. */
  readonly fileSystem: { readonly name: string; readonly freeBytes: number; readonly totalBytes: number };
  /** How much there is. */
  readonly counts: {
    readonly layers: number;
    readonly damagedLayers: number;
    readonly records: number;
    readonly writableLayers: number;
    readonly images: number;
    /** Operations under way, and directories that ended ones left. */
    readonly stagingDirectories: number;
  };
}

/** Looks at the store; nothing is changed. */
export function storeInfo({ layout, driver, layerDb, catalog, mounts, images, staging }: StoreContext): StoreInfo {
  const { layers, broken } = layerDb.list();
  const { name, freeBytes, totalBytes } = fileSystemOf(layout.root);
  return {
    root: layout.root,
    driver: driver.spec.name,
    capabilities: driver.capabilities,
    status: driver.status(),
    fileSystem: { name, freeBytes, totalBytes },
    counts: {
      layers: layers.size,
      damagedLayers: broken.length,
      records: catalog.list().records.length,
      writableLayers: mounts.list().mounts.size,
      images: images.list().images.length,
      stagingDirectories: staging.list().length,
    },
  };
}
