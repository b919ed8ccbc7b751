// SPDX-License-Identifier: Apache-2.0
/**
 * Further roots of this package's own layout, which is Docker's: read as they are, and never written.
 *
 * A dockerd or another process may be at work there meanwhile: what is published does not change (I2), and what is withdrawn
 * between two reads is not there any more.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { DriverSpec } from "../../driver/interfaces/driver_spec.ts";
import { chooseDriver, openDriver } from "../../driver/registry.ts";
import { pathExists } from "../../host/files.ts";
import { BigDataFiles } from "../../metadata/catalog/big_data_files.ts";
import { CatalogRecords } from "../../metadata/catalog/catalog_records.ts";
import { LayerDb } from "../../metadata/layerdb.ts";
import { StoreLayout } from "../../metadata/layout.ts";
import { MountRecords } from "../../metadata/mounts.ts";
import type { WorkerPool } from "../../worker/pool.ts";
import { verified } from "../catalog/big_data.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";

/** How such a root is opened. */
export interface OpenStrataRootOptions {
  /** Runs the heavy work. */
  readonly pool: WorkerPool;
  /** The driver whose layers are meant, where the root holds several drivers' layers. */
  readonly preferred?: string | undefined;
  /** Further roots, of which layers of this one may be stand-ins. */
  readonly siblings?: readonly string[];
}

/** Whether a directory is a root of this layout: what it is known by is the directory of its records. */
export function isStrataRoot(path: string): boolean {
  return pathExists(`${path}/image`);
}

/**
 * Opens such a root.
 * @param path absolute, without symlinks
 * @throws {StrataError} `NOT_SUPPORTED` when it holds no layers of a driver that this package has; `AMBIGUOUS`
 */
export async function openStrataRoot(
  path: string,
  { pool, preferred, siblings = [] }: OpenStrataRootOptions,
): Promise<ReadOnlyRoot> {
  const spec: DriverSpec = { ...await specOf(path, preferred), within: [path, ...siblings] };
  const layout = new StoreLayout(path, spec.name);
  const catalog = new CatalogRecords(layout);
  const data = new BigDataFiles(layout);
  const root: ReadOnlyRoot = {
    path,
    kind: "strata",
    reading: {
      layerDb: new LayerDb(layout),
      mounts: new MountRecords(layout),
      catalog,
      driver: openDriver(spec),
      pool,
    },
    // A layer has one directory, however many records stand for it.
    about: () => root,
    bigData(id, key) {
      const item = catalog.get(id).bigData?.find((each) => each.key === key);
      if (item !== undefined) return verified(data.path(id, item.digest), item);
      const message = `Cannot find data item ${JSON.stringify(key)}: record "${id}" in "${path}" has none of this key`;
      throw new StrataError("NOT_FOUND", message, { kind: "data item", ref: key });
    },
  };
  return root;
}

/** The root's own choice comes first: the store that it is read from may have another driver. */
async function specOf(root: string, preferred: string | undefined): Promise<DriverSpec> {
  const holdsPreferred = preferred !== undefined && pathExists(new StoreLayout(root, preferred).layersDir);
  return await chooseDriver({
    root,
    requested: holdsPreferred ? preferred : undefined,
    options: undefined,
    idMappings: undefined,
    access: "read-only",
  });
}
