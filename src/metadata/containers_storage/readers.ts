// SPDX-License-Identifier: Apache-2.0
/**
 * The records of a root of containers/storage, read as this package's own are: layers by ChainID, writable layers by
 * name, and a catalog.
 *
 * @module
 */
import { type ChainId, parseChainId } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { pathExists } from "../../host/files.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { CatalogRecord } from "../catalog/catalog_record.ts";
import type { CatalogListing } from "../catalog/catalog_records.ts";
import { type Resolution, resolutionOf, resolveRef } from "../catalog/resolve_ref.ts";
import type { LayerRecord } from "../layer_record.ts";
import type { LayerListing } from "../layerdb.ts";
import type { MountListing, MountName, MountRecord } from "../mounts.ts";
import type { ContainersLayers } from "./containers_layers.ts";
import type { IndexedLayer, LayerIndex } from "./layer_index.ts";
import { catalogRecordOf, layerRecordOf, mountRecordOf, openDataItem } from "./records.ts";

/**
 * The layers with ChainIDs. Where several are the top of one stack, one that is whole stands for it, unless a record is
 * named: then that record's own layers do, be they whole or not.
 */
export class ContainersLayerDb {
  readonly #layers: ContainersLayers;
  readonly #record: RecordId | undefined;
  #own: { readonly index: LayerIndex; readonly layers: ReadonlyMap<ChainId, IndexedLayer> } | undefined;

  constructor(layers: ContainersLayers, record?: RecordId) {
    this.#layers = layers;
    this.#record = record;
  }

  /**
   * All layers of this root. What is damaged is among the findings of the catalog: it has no ChainID.
   * @throws {StrataError} `CORRUPT` when the records cannot be read at all
   */
  list(): LayerListing {
    const layers = new Map<ChainId, LayerRecord>();
    for (const chainId of this.chainIds()) {
      const record = this.#find(chainId);
      if (record !== undefined) layers.set(chainId, record);
    }
    return { layers, broken: [], findings: [] };
  }

  /** The stacks that have a layer in this root, in the order of their hex digits. */
  chainIds(): ChainId[] {
    return [...this.#layers.now().chainIds].sort();
  }

  /**
   * One layer's record, also of a root in which stacks of this one go on.
   * @throws {StrataError} `NOT_FOUND`
   */
  read(chainId: ChainId): LayerRecord {
    const record = this.#find(chainId);
    if (record !== undefined) return record;
    throw layerNotFound(chainId);
  }

  /** One layer's record, if its tree and its tar-split are there. */
  findSound(chainId: ChainId): LayerRecord | undefined {
    const top = this.#topOf(chainId);
    return top === undefined || !isWhole(top) ? undefined : layerRecordOf(top, chainId);
  }

  /** Whether a record of that ChainID exists. */
  has(chainId: ChainId): boolean {
    return this.#layers.now().topsBelow(chainId).length > 0;
  }

  /**
   * Where the layer's tar-split lies.
   * @throws {StrataError} `NOT_FOUND`
   */
  tarSplitPath(chainId: ChainId): string {
    const top = this.#topOf(chainId);
    if (top === undefined) throw layerNotFound(chainId);
    return top.layout.tarSplitPath(top.cacheId);
  }

  #find(chainId: ChainId): LayerRecord | undefined {
    const top = this.#topOf(chainId);
    return top && layerRecordOf(top, chainId);
  }

  #topOf(chainId: ChainId): IndexedLayer | undefined {
    const index = this.#layers.now();
    return this.#ownLayers(index)?.get(chainId) ?? topOf(index.topsBelow(chainId));
  }

  #ownLayers(index: LayerIndex): ReadonlyMap<ChainId, IndexedLayer> | undefined {
    const record = this.#record === undefined ? undefined : index.find(this.#record);
    if (record === undefined) return undefined;
    if (this.#own?.index !== index) this.#own = { index, layers: stackOf(record) };
    return this.#own.layers;
  }
}

/** The layers without a ChainID: containers', and those that were never filled from a tar. */
export class ContainersMounts {
  readonly #layers: ContainersLayers;

  constructor(layers: ContainersLayers) {
    this.#layers = layers;
  }

  /** All of them. */
  list(): MountListing {
    const index = this.#layers.now();
    const mounts = new Map<MountName, MountRecord>();
    for (const layer of index.layers) {
      if (index.standingOf(layer).kind !== "writable") continue;
      const record = this.#recordOf(layer);
      mounts.set(record.name, record);
    }
    return { mounts, broken: [] };
  }

  /**
   * One of them, by its id.
   * @throws {StrataError} `NOT_FOUND`
   */
  read(name: MountName): MountRecord {
    const layer = this.#find(name);
    if (layer !== undefined) return this.#recordOf(layer);
    throw new StrataError("NOT_FOUND", `Cannot find writable layer "${name}": no such layer is in this root`, {
      kind: "writable layer",
      ref: name,
    });
  }

  /** Whether there is one of this id. */
  has(name: MountName): boolean {
    return this.#find(name) !== undefined;
  }

  #find(name: MountName): IndexedLayer | undefined {
    const index = this.#layers.now();
    const layer = index.find(name);
    return layer !== undefined && index.standingOf(layer).kind === "writable" ? layer : undefined;
  }

  #recordOf(layer: IndexedLayer): MountRecord {
    return mountRecordOf(layer, (chainId) => topOf(this.#layers.now().topsBelow(chainId)));
  }
}

/** The records themselves. */
export class ContainersCatalog {
  readonly #layers: ContainersLayers;

  constructor(layers: ContainersLayers) {
    this.#layers = layers;
  }

  /**
   * All records whose stack is whole, oldest first, and what is wrong with the others.
   * @throws {StrataError} `CORRUPT` when the records cannot be read at all
   */
  list(): CatalogListing {
    const index = this.#layers.now();
    const records = [...index.layers].flatMap((layer) => catalogRecordOf(layer) ?? []);
    const ages = new Map(records.map((record) => [record, Date.parse(record.created)]));
    records.sort((a, b) => (ages.get(a) ?? 0) - (ages.get(b) ?? 0));
    return { records, findings: index.findings };
  }

  /**
   * One record.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` when its stack is not whole
   */
  get(id: RecordId): CatalogRecord {
    return found(id, this.#layers.now().find(id));
  }

  /** Whether the id is taken. */
  has(id: RecordId): boolean {
    return this.#layers.now().find(id) !== undefined;
  }

  /**
   * The record that owns a name; `undefined` when none does.
   * @throws {StrataError} `CORRUPT` when its stack is not whole
   */
  findByName(name: string): CatalogRecord | undefined {
    const layer = this.#layers.now().findByName(name);
    return layer && found(name, layer);
  }

  /**
   * The record that owns a name.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` when its stack is not whole
   */
  getByName(name: string): CatalogRecord {
    return found(name, this.#layers.now().findByName(name));
  }

  /**
   * What a user's word for a layer means: an id, a name, a ChainID, or a prefix that fits one layer.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when the stack of what is meant is not whole
   */
  resolve(ref: string): Resolution {
    const index = this.#layers.now();
    const exact = index.find(ref) ?? index.findByName(ref);
    if (exact !== undefined) return resolutionOf(found(ref, exact));
    const hex = ref.replace(/^sha256:/, "");
    const chainIds = hex === "" ? [] : index.chainHexesWith(hex).map((digits) => parseChainId(`sha256:${digits}`));
    const named = ref === "" ? [] : index.idsWith(ref).flatMap((id) => index.find(id) ?? []);
    const meant = new Set([...named, ...chainIds.flatMap((chainId) => index.tops(chainId))]);
    const records = [...meant].flatMap((layer) => catalogRecordOf(layer) ?? []);
    return resolveRef(ref, { records, chainIds, byName: () => undefined });
  }

  /** The records that stand for a stack. */
  referencesTo(chainId: ChainId): CatalogRecord[] {
    return this.#layers.now().tops(chainId).flatMap((layer) => catalogRecordOf(layer) ?? []);
  }

  /**
   * A record's data item, open for reading.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` when its file is gone
   */
  openBigData(id: RecordId, key: string): OpenFile {
    const layer = this.#layers.now().find(id);
    if (layer === undefined) throw recordNotFound(id);
    const file = openDataItem(layer, key);
    if (file !== undefined) return file;
    const path = layer.layout.dataDir(layer.cacheId);
    const what = `Cannot read the data item "${key.slice(0, 200)}" of layer "${id}"`;
    if (layer.bigDataNames.includes(key)) {
      throw new StrataError("CORRUPT", `${what}: its file in "${path}" is gone; set it again`, { path });
    }
    throw new StrataError("NOT_FOUND", `${what}: it has none of this key; "strata inspect" lists them`, {
      kind: "data item",
      ref: key,
    });
  }
}

/** Of layers with the same stack, the one to be used: whole if one is, and best kept under its archive's ids. */
function topOf(layers: readonly IndexedLayer[]): IndexedLayer | undefined {
  if (layers.length < 2) return layers[0];
  const whole = layers.filter(isWhole);
  return whole.find(({ mappings }) => mappings.uids.length === 0) ?? whole[0] ?? layers[0];
}

/** A layer and those below it, by their ChainIDs; none for a stack that is not whole, which may return to itself. */
function stackOf(top: IndexedLayer): Map<ChainId, IndexedLayer> {
  const layers = new Map<ChainId, IndexedLayer>();
  if (top.index.standingOf(top).kind === "broken") return layers;
  for (let layer: IndexedLayer | undefined = top; layer !== undefined; layer = layer.index.parentOf(layer)) {
    const standing = layer.index.standingOf(layer);
    if (standing.kind === "layer") layers.set(standing.chainId, layer);
  }
  return layers;
}

function isWhole({ layout, cacheId }: IndexedLayer): boolean {
  return pathExists(layout.tarSplitPath(cacheId)) && pathExists(layout.treeDir(cacheId));
}

function found(ref: string, layer: IndexedLayer | undefined): CatalogRecord {
  if (layer === undefined) throw recordNotFound(ref);
  const record = catalogRecordOf(layer);
  if (record !== undefined) return record;
  const standing = layer.index.standingOf(layer);
  throw standing.kind === "broken" ? standing.error : recordNotFound(ref);
}

function layerNotFound(chainId: ChainId): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find layer ${chainId}: no layer of containers/storage here has this ChainID; "strata layers" lists them`,
    { kind: "layer", ref: chainId },
  );
}

function recordNotFound(ref: string): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find layer "${ref}": no record of containers/storage has this id or name; "strata layers" lists them`,
    { kind: "record", ref },
  );
}
