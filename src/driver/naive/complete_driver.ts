// SPDX-License-Identifier: Apache-2.0
/**
 * A whole driver out of a proto driver: what the layer store needs is done through the paths that `get` gives.
 *
 * What a driver has of its own (its own `diff`, its own note of what layers need) is taken instead of what is made here.
 *
 * The author's methods are only called when they make sense: ids that are taken, and layers that do not exist, are refused
 * before; a layer that could not be made is removed; what the system reports gets its public form.
 *
 * @module
 */
import { IDENTITY, type IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import type { Change } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { syncDir } from "../../host/durable.ts";
import { mountAt } from "../../host/mount_table.ts";
import { findUnpackedDiffs } from "./apply_diff.ts";
import type {
  ApplyOptions,
  Diff,
  DiffDriver,
  DiffGetter,
  DiffGetterDriver,
  DiffOptions,
} from "../interfaces/diff_driver.ts";
import type { Driver } from "../driver.ts";
import type { DifferDriver } from "../interfaces/differ_driver.ts";
import type { DriverCapabilities, DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import type { LayerIdMapUpdater, UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import { HomeSealer, nameOf } from "./home_sealer.ts";
import { LayerTrees } from "./layer_trees.ts";
import type { Debris, LayerFault, LayerUpkeep } from "../interfaces/layer_upkeep.ts";
import type { AdditionalLayerDriver } from "../interfaces/additional_layer_driver.ts";
import type { OutsideLayers } from "../interfaces/outside_layers.ts";
import { unmountBelow } from "../parts/mounting.ts";
import { MadeLayers } from "./made_layers.ts";
import { naiveDifferDriver } from "./naive_differ.ts";
import { naiveDiffDriver } from "./naive_diff.ts";
import type {
  Awaitable,
  CreateOptions,
  DiskUsage,
  FoundLayer,
  GetOptions,
  LayerTree,
  ProtoDriver,
  StatusRow,
  TemplateOptions,
} from "../interfaces/proto_driver.ts";
import {
  attempt,
  refuseStorageOptions,
  removeTree,
  requireKnownStorageOptions,
  requireMade,
  topOf,
  translated,
} from "../parts/requests.ts";

/** A proto driver, and what else its author has written. */
export type DriverParts =
  & ProtoDriver
  & Partial<DiffDriver & DiffGetterDriver & LayerIdMapUpdater & LayerUpkeep & LayerRenamer & StorageOptions>
  & Pick<Driver, "outsideLayers" | "additionalLayers">
  & Partial<Pick<Driver, "differs">>;

/** Gives layers other names. */
export interface LayerRenamer {
  /**
   * Gives a layer a name that no other has, in one step. With it, layers appear under their names when they are published;
   * without it, from when they are sealed, and a damaged layer is replaced by a copy.
   */
  rename(from: CacheId, to: CacheId): Awaitable<void>;
}

/** Options of writable layers. */
export interface StorageOptions {
  /** Their names. Others are refused before the driver sees them; without this, all are. */
  readonly storageOptionNames: readonly string[];
}

/** Makes what the proto driver has not. */
export function completeDriver(proto: DriverParts): Driver {
  return new CompletedDriver(proto);
}

class CompletedDriver implements Driver {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities;
  readonly differs: DifferDriver;
  readonly outsideLayers?: OutsideLayers;
  readonly additionalLayers?: AdditionalLayerDriver;
  readonly #proto: DriverParts;
  readonly #diffs: DiffDriver;
  readonly #layers: MadeLayers;
  readonly #trees: LayerTrees;
  readonly #sealer: HomeSealer;

  constructor(proto: DriverParts) {
    this.spec = proto.spec;
    this.capabilities = {
      ...proto.capabilities,
      // The driver is not told when a layer is complete, so that `get` may give it writable.
      readOnlyMounts: "trusted",
      publishing: proto.rename === undefined ? "in place" : "by renaming",
    };
    if (proto.outsideLayers !== undefined) this.outsideLayers = proto.outsideLayers;
    if (proto.additionalLayers !== undefined) this.additionalLayers = proto.additionalLayers;
    this.differs = proto.differs ?? naiveDifferDriver(this);
    this.#proto = proto;
    this.#diffs = naiveDiffDriver(this);
    this.#layers = new MadeLayers(proto);
    this.#trees = new LayerTrees(this);
    const rename = proto.rename === undefined ? undefined : this.#rename.bind(this);
    this.#sealer = new HomeSealer(this, { trees: this.#trees, rename });
  }

  async create(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): Promise<void> {
    refuseStorageOptions(options);
    await this.#layers.make({ id, like: parent, options }, (rest) => this.#proto.create(id, parent, rest));
  }

  async createReadWrite(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): Promise<void> {
    requireKnownStorageOptions(options, this.#proto.storageOptionNames ?? []);
    await this.#layers.make({ id, like: parent, options }, (rest) => this.#proto.createReadWrite(id, parent, rest));
  }

  async createFromTemplate(id: CacheId, { template, parent, access, ...options }: TemplateOptions): Promise<void> {
    if (access === "read-only") refuseStorageOptions(options);
    else requireKnownStorageOptions(options, this.#proto.storageOptionNames ?? []);
    await this.#layers.make({ id, like: template, parent, options }, (rest) => {
      return this.#proto.createFromTemplate(id, { ...rest, template, parent, access });
    });
  }

  async remove(id: CacheId): Promise<void> {
    await this.#layers.remove(id);
  }

  treeOf(id: CacheId, access: "writable" | "read-only"): LayerTree {
    return this.#proto.treeOf(id, access);
  }

  async get(id: CacheId, options: GetOptions = {}): Promise<string> {
    requireMade(this, id);
    const { idMappings, ...others } = options;
    const mapsByMount = this.#proto.supportsShifting !== undefined;
    if (idMappings !== undefined && !mapsByMount) this.#layers.ids?.require(id, idMappings);
    const passed = this.#layers.ids === undefined || mapsByMount ? options : others;
    return await translated(`mount layer ${id}`, () => this.#proto.get(id, passed));
  }

  async put(id: CacheId): Promise<void> {
    await translated(`unmount layer ${id}`, () => this.#proto.put(id));
  }

  exists(id: CacheId): boolean {
    return this.#layers.exists(id);
  }

  list(): readonly FoundLayer[] {
    return this.#layers.list();
  }

  status(): readonly StatusRow[] {
    return this.#proto.status();
  }

  metadata(id: CacheId): Readonly<Record<string, string>> {
    requireMade(this, id);
    return attempt(`describe layer ${id}`, () => this.#proto.metadata(id));
  }

  async readWriteDiskUsage(id: CacheId): Promise<DiskUsage> {
    requireMade(this, id);
    return await translated(`measure layer ${id}`, () => this.#proto.readWriteDiskUsage(id));
  }

  async cleanup(): Promise<void> {
    await translated("unmount the layers", () => this.#proto.cleanup());
  }

  additionalImageStores(): readonly string[] {
    return this.#proto.additionalImageStores();
  }

  changes(id: CacheId, parent: CacheId | undefined): Awaitable<Change[]> {
    return this.#proto.changes?.(id, parent) ?? this.#diffs.changes(id, parent);
  }

  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return this.#proto.diff?.(id, parent, options) ?? this.#diffs.diff(id, parent, options);
  }

  applyDiff(id: CacheId, parent: CacheId | undefined, diff: Diff, options: ApplyOptions = {}): Promise<number> {
    return this.#proto.applyDiff?.(id, parent, diff, options) ?? this.#diffs.applyDiff(id, parent, diff, options);
  }

  diffSize(id: CacheId, parent: CacheId | undefined): Awaitable<number> {
    return this.#proto.diffSize?.(id, parent) ?? this.#diffs.diffSize(id, parent);
  }

  supportsShifting(mappings: IdMappings): Awaitable<"yes" | "no"> {
    return this.#proto.supportsShifting?.(mappings) ?? "no";
  }

  async updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): Promise<void> {
    requireMade(this, id);
    await translated(`map the owners of layer ${id}`, () => {
      return this.#layers.ids?.updateLayerIdMap(id, options) ?? this.#proto.updateLayerIdMap?.(id, options);
    });
  }

  idMappingsOf(id: CacheId): Awaitable<IdMappings> {
    requireMade(this, id);
    return this.#proto.idMappingsOf?.(id) ?? this.#layers.ids?.idMappingsOf(id) ?? this.spec.idMappings ?? IDENTITY;
  }

  /** Without a diff getter of the driver's own, all that the layer shows: its own files are among them. */
  async diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): Promise<DiffGetter> {
    return await this.#proto.diffGetter?.(stack) ?? await this.#trees.open(nameOf(stack[0]), { access: "read-only" });
  }

  async view(stack: readonly LayerLocation[]): Promise<TreeView> {
    return await this.#trees.open(nameOf(topOf(stack)), { access: "read-only" });
  }

  locate(id: CacheId): LayerLocation {
    const { path, kind } = this.#proto.treeOf(id, "read-only");
    // A mount point may not be there; what is mounted lies in the home.
    return { cacheId: id, dir: kind === "directory" ? path : this.spec.home };
  }

  /** Not known: `needsOf` tells what a layer cannot do without. */
  parentsOf(): readonly LayerLocation[] {
    return [];
  }

  seal(request: SealRequest): Promise<SealedLayer> {
    return this.#sealer.seal(request);
  }

  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): Promise<void> {
    return this.#sealer.rebase(sealed, parents);
  }

  publish(sealed: SealedLayer): Promise<void> {
    return this.#sealer.publish(sealed);
  }

  /** Not in one step. What a crash leaves is a layer that is missing, which was damaged. */
  replace(sealed: SealedLayer): Promise<void> {
    return this.#sealer.replace(sealed);
  }

  syncHome(): void {
    syncDir(this.spec.home);
  }

  needsOf(id: CacheId): readonly CacheId[] {
    return this.#proto.needsOf?.(id) ?? [];
  }

  mountsOver(id: CacheId): readonly string[] {
    const own = (["writable", "read-only"] as const).map((access) => this.treeOf(id, access));
    const mounted = own.filter(({ kind, path }) => kind === "mount" && mountAt(path) !== undefined);
    return this.#proto.mountsOver?.(id) ?? [...new Set(mounted.map(({ path }) => path))];
  }

  debris(): readonly Debris[] {
    return attempt(
      "list what belongs to no layer",
      () => [...this.#proto.debris?.() ?? [], ...this.#layers.debris(), ...findUnpackedDiffs(this.spec.home)],
    );
  }

  async removeDebris(debris: Debris): Promise<void> {
    const own = this.#layers.debris().find(({ path }) => path === debris.path);
    if (own?.cacheId !== undefined) return await this.remove(own.cacheId);
    if (this.#proto.removeDebris !== undefined) return await this.#proto.removeDebris(debris);
    await unmountBelow(debris.path);
    await removeTree(`remove "${debris.path}"`, debris.path);
  }

  check(id: CacheId, parents: readonly LayerLocation[]): readonly LayerFault[] {
    const faults = this.#layers.ids?.faults(id) ?? [];
    if (this.#proto.check !== undefined) return [...this.#proto.check(id, parents), ...faults];
    if (this.exists(id)) return faults;
    return [{ path: this.treeOf(id, "read-only").path, problem: "is missing", mending: "impossible" }];
  }

  mend(id: CacheId, parents: readonly LayerLocation[]): Awaitable<void> {
    return this.#proto.mend?.(id, parents);
  }

  /** A layer's note of id maps goes along. */
  async #rename(from: CacheId, to: CacheId): Promise<void> {
    const rename = () => this.#proto.rename?.(from, to);
    await (this.#layers.ids === undefined ? rename() : this.#layers.ids.rename({ from, to }, rename));
  }
}
