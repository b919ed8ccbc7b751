// SPDX-License-Identifier: Apache-2.0
/**
 * What `strata layers` lists: layers, and writable layers, with and without a record.
 *
 * @module
 */
import type { CatalogEntry, LayerStore, MountRecord, PlacedLayer, StoreContents } from "../../mod.ts";

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
 * Of each root, the store's own first: records, oldest first; layers that have none, by ChainID; writable layers that have
 * none, by name. What is told of layers with a record is what the record repeats of them: however many there are, each is one
 * file to be read.
 */
export function listLayers(store: LayerStore): LayerList {
  const contents = store.contents();
  const roots = [undefined, ...store.roots().map(({ path }) => path)];
  // What means something in a root before cannot be used to name a writable layer.
  const taken = new Set<string>();
  const items = roots.flatMap((root) => {
    const listed = listRoot(contents, root, taken);
    if (root !== roots.at(-1)) {
      for (const { id, names } of listed) for (const word of [id, ...names]) taken.add(word);
    }
    return listed;
  });
  return { items, warnings: contents.findings.map(({ error }) => error.message) };
}

function listRoot(
  { entries, layers, mounts }: StoreContents,
  root: string | undefined,
  taken: ReadonlySet<string>,
): ListedLayer[] {
  const isThere = (item: { readonly root?: string }): boolean => item.root === root;
  const writable = new Map<string, MountRecord>();
  for (const { mount } of mounts.filter(isThere)) writable.set(mount.name, mount);
  const items: ListedLayer[] = [];
  // The records' own, those by which layers are shown under a record's ids included.
  const recorded = new Set<string>();
  for (const entry of entries.filter(isThere)) {
    const { target } = entry;
    const mountName = target.kind === "layer" ? target.view : target.mountName;
    if (mountName !== undefined) recorded.add(mountName);
    items.push(
      target.kind === "layer" ? recordedLayer(entry) : writableLayer(writable.get(target.mountName), { entry, root }),
    );
  }
  for (const layer of layers.filter(isThere)) items.push(bareLayer(layer));
  for (const mount of writable.values()) {
    if (recorded.has(mount.name) || taken.has(mount.name) || mount.outside !== undefined) continue;
    items.push(writableLayer(mount, { root }));
  }
  return items;
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

/** Its ChainID is all that it can be called by. */
function bareLayer({ layer, root }: PlacedLayer): ListedLayer {
  return {
    kind: "layer",
    id: layer.chainId,
    names: [],
    chainId: layer.chainId,
    diffId: layer.diffId,
    parent: layer.parent ?? null,
    diffSize: layer.sizeBytes,
    created: layer.created ?? null,
    root: root ?? null,
    state: "ok",
  };
}

/** What is known of a writable layer beside its own record. */
interface WritableFacts {
  readonly entry?: CatalogEntry;
  readonly root: string | undefined;
}

/** At least one of the two is there. */
function writableLayer(mount: MountRecord | undefined, { entry, root }: WritableFacts): ListedLayer {
  return {
    kind: "writable",
    id: entry?.id ?? mount?.name ?? "",
    names: entry?.names ?? [],
    chainId: null,
    diffId: null,
    parent: mount?.parent ?? null,
    diffSize: null,
    created: entry?.created ?? mount?.created ?? null,
    root: root ?? null,
    state: mount === undefined ? "damaged" : "ok",
  };
}
