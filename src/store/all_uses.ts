// SPDX-License-Identifier: Apache-2.0
/**
 * Who refers to which layer, as all records together tell.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { LayerUse, UserKind } from "../metadata/layer_users.ts";
import type { LayerListing } from "../metadata/layerdb.ts";
import type { StoreContext } from "./context.ts";

/** Every use of a layer by a layer, a writable layer or a catalog record. */
export interface AllUses {
  readonly uses: readonly LayerUse[];
  /** `unsure`: a damaged record may refer to a layer, and does not tell. */
  readonly state: "whole" | "unsure";
}

/** Reads everything. */
export function allUses(
  { layerDb, mounts, catalog }: Pick<StoreContext, "layerDb" | "mounts" | "catalog">,
  { layers, broken }: LayerListing = layerDb.list(),
): AllUses {
  const uses: LayerUse[] = [];
  const add = (kind: UserKind, who: string, chainId: ChainId | undefined): void => {
    if (chainId !== undefined) uses.push({ kind, chainId, who });
  };
  for (const { chainId, parent } of [...layers.values(), ...broken]) add("layer", chainId, parent);
  const writable = mounts.list();
  for (const { name, parent } of writable.mounts.values()) add("writable", name, parent);
  for (const { subject, parent } of writable.broken) add("writable", subject, parent);
  const { records, findings } = catalog.list();
  for (const { id, target } of records) if (target.kind === "layer") add("record", id, target.chainId);
  const silent = [...broken, ...writable.broken].some(({ parent }) => parent === undefined) ||
    findings.some(({ severity }) => severity === "broken");
  return { uses, state: silent ? "unsure" : "whole" };
}
