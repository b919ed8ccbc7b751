// SPDX-License-Identifier: Apache-2.0
/**
 * What `strata layers` lists: records of layers, and writable layers.
 *
 * @module
 */
import type { CatalogEntry, LayerStore, MountRecord } from "../../mod.ts";

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
  /** `damaged`: a record without its layer. Whether a layer that is there is sound, \`verify\` tells. */
  readonly state: "ok" | "damaged";
}

/** The list, and what could not be listed. */
export interface LayerList {
  readonly items: readonly ListedLayer[];
  readonly warnings: readonly string[];
}

/**
 * Records oldest first, then the writable layers that have none by name, then the records of roots that are only read. What
 * is told of layers is what their records repeat of them: however many there are, each is one file to be read.
 */
export function listLayers(store: LayerStore): LayerList {
  const { mounts, broken } = store.rwLayers();
  const { entries, findings } = store.catalog.entries();
  // The records' own, those by which layers are shown under a record's ids included.
  const recorded = new Set<string>();
  const own: ListedLayer[] = [];
  const elsewhere: ListedLayer[] = [];
  for (const entry of entries) {
    if (entry.root !== undefined) elsewhere.push(recordedLayer(entry));
    else if (entry.target.kind === "layer") {
      if (entry.target.view !== undefined) recorded.add(entry.target.view);
      own.push(recordedLayer(entry));
    } else {
      recorded.add(entry.target.mountName);
      own.push(writableLayer(mounts.get(entry.target.mountName), entry));
    }
  }
  for (const mount of mounts.values()) {
    if (!recorded.has(mount.name) && mount.outside === undefined) own.push(writableLayer(mount, undefined));
  }
  return { items: [...own, ...elsewhere], warnings: [...findings, ...broken].map(({ error }) => error.message) };
}

/** As the record alone tells. */
function recordedLayer({ id, names, target, created, content, missing, root }: CatalogEntry): ListedLayer {
  return {
    kind: target.kind,
    id,
    names,
    chainId: target.kind === "layer" ? target.chainId : null,
    diffId: content?.diffId ?? null,
    parent: content?.parent ?? null,
    diffSize: content?.sizeBytes ?? null,
    created,
    root: root ?? null,
    state: missing ? "damaged" : "ok",
  };
}

/** At least one of the two is there. */
function writableLayer(mount: MountRecord | undefined, record: CatalogEntry | undefined): ListedLayer {
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
