// SPDX-License-Identifier: Apache-2.0
/**
 * Everything known of one layer.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { CacheId, RecordId } from "../core/ids.ts";
import type { CatalogRecord } from "../metadata/catalog/catalog_record.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { MountRecord } from "../metadata/mounts.ts";
import { attempt } from "../metadata/record_file.ts";
import { chainSizeBytes } from "./chains.ts";
import type { StoreContext } from "./context.ts";
import { mountCount } from "./mount.ts";
import type { ReadingContext } from "./reading.ts";
import { References } from "./references.ts";
import type { LocatedTarget } from "./roots/locate.ts";

/** What is known of a read-only or a writable layer. */
export type Inspection =
  | {
    readonly kind: "layer";
    readonly layer: LayerRecord;
    /** Bytes of the layer and all below it. */
    readonly chainSizeBytes: number;
    /** The one that was asked about; of a layer asked about by its ChainID, all that stand for it, the oldest first. */
    readonly records: readonly CatalogRecord[];
    /** Who needs the layer, in words; of very many users the first hundred, and "others". */
    readonly usedBy: readonly string[];
    readonly mountCount: number;
    /** The root that it lies in, if that is only read. */
    readonly root?: string;
    readonly driver: DriverFacts;
  }
  | {
    readonly kind: "writable";
    readonly mount: MountRecord;
    readonly parent: ChainId | undefined;
    readonly mountCount: number;
    /** The root that it lies in, if that is only read. */
    readonly root?: string;
    readonly driver: DriverFacts;
  };

/** What the driver knows. */
export interface DriverFacts {
  /** The driver's name. */
  readonly name: string;
  /** Paths such as `UpperDir`. */
  readonly data: Readonly<Record<string, string>>;
}

/** Gathers what is known. */
export function inspect(context: StoreContext, { target, reading, root }: LocatedTarget): Inspection {
  if (root !== undefined) return inspectElsewhere({ target, reading, root });
  const { driver, catalog } = context;
  if (target.kind === "writable") {
    const { mountId, parent } = target.record;
    return {
      kind: "writable",
      mount: target.record,
      parent,
      mountCount: mountCount(context, mountId, "writable"),
      driver: { name: driver.spec.name, data: driver.metadata(mountId) },
    };
  }
  const { chainId, cacheId } = target.record;
  return {
    kind: "layer",
    layer: target.record,
    chainSizeBytes: chainSizeBytes(context, chainId),
    records: recordsOf(catalog, target.recordIds),
    usedBy: new References(context).to(chainId),
    mountCount: mountCount(context, cacheId, "read-only"),
    driver: { name: driver.spec.name, data: driver.metadata(cacheId) },
  };
}

/** One that has gone meanwhile is none. */
function recordsOf(catalog: ReadingContext["catalog"], ids: readonly RecordId[]): CatalogRecord[] {
  return ids.flatMap((id) => attempt(() => catalog.get(id)) ?? []);
}

/** In a root that is only read nothing is mounted by this store, and who else uses it is not known. */
function inspectElsewhere({ target, reading, root }: Required<LocatedTarget>): Inspection {
  const { driver, catalog } = reading;
  const facts = (id: CacheId): DriverFacts => ({ name: driver.spec.name, data: driver.metadata(id) });
  if (target.kind === "writable") {
    const { mountId, parent } = target.record;
    return { kind: "writable", mount: target.record, parent, mountCount: 0, root: root.path, driver: facts(mountId) };
  }
  const { chainId, cacheId } = target.record;
  return {
    kind: "layer",
    layer: target.record,
    chainSizeBytes: chainSizeBytes(reading, chainId),
    records: recordsOf(catalog, target.recordIds),
    usedBy: [],
    mountCount: 0,
    root: root.path,
    driver: facts(cacheId),
  };
}
