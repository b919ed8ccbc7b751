// SPDX-License-Identifier: Apache-2.0
/**
 * What `strata layers` lists: records of layers, and writable layers.
 *
 * @module
 */
import type { CatalogEntry, CatalogRecord, LayerStore, MountRecord } from "../../mod.ts";

/** A line of the list; the document of the same item. */
export interface ListedLayer {
  readonly kind: "layer" | "writable";
  /** What other commands take as its REF. */
  readonly id: string;
  readonly names: readonly string[];
  /** Of a layer. */
  readonly chainId: string | null;
  readonly diffId: string | null;
  readonly parent: string | null;
  /** Bytes of the layer alone; nothing is measured for it, so those of writable layers are unknown. */
  readonly diffSize: number | null;
  readonly created: string | null;
  /** The root that it lies in, if that is only read. */
  readonly root: string | null;
  /** `damaged`: a record without a layer that can be used. */
  readonly state: "ok" | "damaged";
}

/** The list, and what could not be listed. */
export interface LayerList {
  readonly items: readonly ListedLayer[];
  readonly warnings: readonly string[];
}

/** Records oldest first, then the writable layers that have none by name, then the records of roots that are only read. */
export function listLayers(store: LayerStore): LayerList {
  const { layers, broken, findings } = store.layers();
  const { mounts, broken: brokenMounts } = store.rwLayers();
  const catalog = store.catalog.list();
  const recorded = new Set<string>();
  const items = catalog.records.map((record): ListedLayer => {
    if (record.target.kind === "layer") return recordedLayer(record, layers.get(record.target.chainId));
    recorded.add(record.target.mountName);
    return writableLayer(mounts.get(record.target.mountName), record);
  });
  for (const mount of mounts.values()) if (!recorded.has(mount.name)) items.push(writableLayer(mount, undefined));
  for (const entry of store.catalog.layers()) {
    if (entry.root !== undefined) items.push(layerElsewhere(entry, entry.root));
  }
  const wrong = [...catalog.findings, ...broken, ...findings, ...brokenMounts];
  return { items, warnings: wrong.map(({ error }) => error.message) };
}

function recordedLayer(
  { id, names, target, created }: CatalogRecord,
  layer: { readonly diffId: string; readonly parent?: string; readonly sizeBytes: number } | undefined,
): ListedLayer {
  return {
    kind: "layer",
    id,
    names,
    chainId: target.kind === "layer" ? target.chainId : null,
    diffId: layer?.diffId ?? null,
    parent: layer?.parent ?? null,
    diffSize: layer?.sizeBytes ?? null,
    created,
    root: null,
    state: layer === undefined ? "damaged" : "ok",
  };
}

/** At least one of the two is there. */
function writableLayer(mount: MountRecord | undefined, record: CatalogRecord | undefined): ListedLayer {
  return {
    kind: "writable",
    id: record?.id ?? mount?.name ?? "",
    names: record?.names ?? [],
    chainId: null,
    diffId: null,
    parent: mount?.parent ?? null,
    diffSize: null,
    created: record?.created ?? mount?.created ?? null,
    root: null,
    state: mount === undefined ? "damaged" : "ok",
  };
}

/** As the record alone tells. */
function layerElsewhere({ id, names, target, created, content }: CatalogEntry, root: string): ListedLayer {
  return {
    kind: target.kind,
    id,
    names,
    chainId: target.kind === "layer" ? target.chainId : null,
    diffId: content?.diffId ?? null,
    parent: content?.parent ?? null,
    diffSize: content?.sizeBytes ?? null,
    created,
    root,
    state: "ok",
  };
}
