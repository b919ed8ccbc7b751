// SPDX-License-Identifier: Apache-2.0
/**
 * Who refers to which layer, as all records together tell.
 *
 * @module
 */
import { chainOn } from "../core/chain_id.ts";
import type { ChainId } from "../core/digest.ts";
import type { CatalogRecord } from "../metadata/catalog/catalog_record.ts";
import type { LayerUse, UserKind } from "../metadata/layer_users.ts";
import type { LayerListing } from "../metadata/layerdb.ts";
import { attempt } from "../metadata/record_file.ts";
import type { StoreContext } from "./context.ts";

/** Every use of a layer by a layer, a writable layer or a catalog record. */
export interface AllUses {
  readonly uses: readonly LayerUse[];
  /** `unsure`: a damaged record may refer to a layer, and does not tell. */
  readonly state: "whole" | "unsure";
}

/**
 * Reads everything, or what a list of the layers leaves to be read. Without one, a layer's own record is read only where no
 * catalog record repeats what lies below it, and proves that by the layer's name.
 */
export function allUses(
  { layerDb, mounts, catalog }: Pick<StoreContext, "layerDb" | "mounts" | "catalog">,
  listing?: LayerListing,
): AllUses {
  const uses: LayerUse[] = [];
  const add = (kind: UserKind, who: string, chainId: ChainId | undefined): void => {
    if (chainId !== undefined) uses.push({ kind, chainId, who });
  };
  const { records, findings } = catalog.list();
  const { layers, broken } = listing ?? layersBelow(layerDb, records);
  for (const { chainId, parent } of [...layers.values(), ...broken]) add("layer", chainId, parent);
  const writable = mounts.list();
  for (const { name, parent } of writable.mounts.values()) add("writable", name, parent);
  for (const { subject, parent } of writable.broken) add("writable", subject, parent);
  for (const { id, target } of records) if (target.kind === "layer") add("record", id, target.chainId);
  const silent = [...broken, ...writable.broken].some(({ parent }) => parent === undefined) ||
    findings.some(({ severity }) => severity === "broken");
  return { uses, state: silent ? "unsure" : "whole" };
}

/** A layer, and what lies below it. */
interface Standing {
  readonly chainId: ChainId;
  readonly parent?: ChainId;
}

function layersBelow(
  layerDb: Pick<StoreContext["layerDb"], "chainIds" | "read">,
  records: readonly CatalogRecord[],
): { readonly layers: ReadonlyMap<ChainId, Standing>; readonly broken: readonly Standing[] } {
  const told = new Map<ChainId, Standing>();
  for (const { target, content } of records) {
    if (target.kind !== "layer" || content === undefined) continue;
    const { chainId } = target;
    if (chainOn(content.parent, content.diffId) === chainId) told.set(chainId, { ...content, chainId });
  }
  const layers = new Map<ChainId, Standing>();
  const broken: Standing[] = [];
  for (const chainId of layerDb.chainIds()) {
    const layer = told.get(chainId) ?? attempt(() => layerDb.read(chainId));
    if (layer === undefined) broken.push({ chainId });
    else layers.set(chainId, layer);
  }
  return { layers, broken };
}
