// SPDX-License-Identifier: Apache-2.0
/**
 * The overlay driver: each layer keeps its own files only, and the kernel's overlayfs stacks them.
 *
 * @module
 */
import type { IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { pathExists } from "../../host/files.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { Change } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { ApplyOptions, Diff, DiffDriver, DiffGetter, DiffOptions } from "../interfaces/diff_driver.ts";
import { directoryUsage } from "../parts/directory_size.ts";
import type { Driver } from "../driver.ts";
import type { DifferDriver } from "../interfaces/differ_driver.ts";
import type { DriverCapabilities, DriverSpec } from "../interfaces/driver_spec.ts";
import type { UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import type { LayerIds } from "../parts/layer_ids.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import type { Debris, LayerFault } from "../interfaces/layer_upkeep.ts";
import type {
  Awaitable,
  CreateOptions,
  DiskUsage,
  FoundLayer,
  GetOptions,
  LayerTree,
  StatusRow,
  TemplateOptions,
} from "../interfaces/proto_driver.ts";
import { findLayers } from "../parts/layer_directory.ts";
import { unmountBelow } from "../parts/mounting.ts";
import { type LayerQuota, parseLimits, UNLIMITED } from "../parts/quota.ts";
import { naiveDifferDriver } from "../naive/naive_differ.ts";
import { naiveDiffDriver } from "../naive/naive_diff.ts";
import { attempt, refuseStorageOptions, removeTree, requireAbsent, requireLayer } from "../parts/requests.ts";
import { overlayCapabilities } from "./capabilities.ts";
import { OverlayFiles } from "./diff_files.ts";
import { remapLayer } from "./remap.ts";
import { copyDiff } from "./template.ts";
import { findDebris, findFaults, findNeeded } from "./check.ts";
import { OverlayHome } from "./home.ts";
import { LayerMaker, type NewLayer } from "./make_layer.ts";
import { OverlayMounts } from "./mounting/mounts.ts";
import { NativeDiffs } from "./native_diffs.ts";
import { optionsInstead, probeWith, traitRows } from "./mounting/probe.ts";
import { additionalLayerOf, AdditionalLayers, releaseAdditional } from "./outside/additional_layers.ts";
import { StandIns } from "./outside/stand_ins.ts";
import { OverlaySealer } from "./sealer.ts";

/** Makes overlay drivers. */
export const OVERLAY_FACTORY = {
  open: (spec: DriverSpec): Driver => new OverlayDriver(spec),
  probe: probeWith,
  fallback: optionsInstead,
};

/** Keeps layers in the layout of Docker's overlay2 driver. */
export class OverlayDriver implements Driver {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities;
  readonly outsideLayers: StandIns;
  readonly additionalLayers: AdditionalLayers;
  readonly differs: DifferDriver;
  readonly #home: OverlayHome;
  readonly #ids: LayerIds;
  readonly #diffs: DiffDriver;
  readonly #mounts: OverlayMounts;
  readonly #quota: LayerQuota;
  readonly #maker: LayerMaker;
  readonly #sealer: OverlaySealer;

  /**
   * Opens a home, making it when there is none. Nothing is probed but quotas, when there is an option for them.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have, `NOT_SUPPORTED` for limits that nothing keeps
   */
  constructor(spec: DriverSpec) {
    this.spec = spec;
    this.#home = new OverlayHome(spec);
    const { ids, quota, marks, options } = this.#home;
    this.#ids = ids;
    this.#quota = quota;
    this.#mounts = new OverlayMounts(this.#home);
    this.#maker = new LayerMaker(this.#home);
    this.#sealer = new OverlaySealer(this.#home);
    this.outsideLayers = new StandIns(this.#home);
    this.additionalLayers = new AdditionalLayers(this.#home, this.outsideLayers);
    // Where attributes tell owners, no kernel writes, and upper directories tell all.
    const isNaive = options.diffs === "naive" && options.forceMask === undefined;
    this.#diffs = isNaive ? naiveDiffDriver(this) : new NativeDiffs(this, {
      marks,
      mounter: options.mountProgram === undefined && options.forceMask === undefined ? "kernel" : "program",
      flush: (id) => this.#mounts.flush(this.locate(id)),
    });
    this.capabilities = overlayCapabilities(options);
    this.differs = naiveDifferDriver(this);
  }

  locate(id: CacheId): LayerLocation {
    return this.#home.locate(id);
  }

  exists(id: CacheId): boolean {
    return pathExists(this.locate(id).dir);
  }

  parentsOf(id: CacheId): readonly LayerLocation[] {
    return this.#home.parentsOf(id);
  }

  seal(request: SealRequest): SealedLayer {
    return this.#sealer.seal(request);
  }

  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): void {
    this.#sealer.rebase(sealed, parents);
  }

  publish(sealed: SealedLayer): void {
    this.#sealer.publish(sealed);
  }

  async replace(sealed: SealedLayer): Promise<void> {
    this.#sealer.replace(sealed);
    // What had the name lies there now.
    await releaseAdditional(additionalLayerOf(sealed.dir));
  }

  syncHome(): void {
    this.#home.sync();
  }

  view(stack: readonly LayerLocation[]): TreeView {
    return this.#home.view(stack);
  }

  openTree(location: LayerLocation): RootedDir {
    return this.#home.openTree(location);
  }

  diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
    return new OverlayFiles(this.openTree(requireLayer(stack[0])), () => this.view(stack));
  }

  /** The parent becomes read-only; the new layer does when it is a parent itself. */
  create(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    refuseStorageOptions(options);
    this.#make(id, parent, { limits: UNLIMITED, idMappings: options.idMappings });
  }

  createFromTemplate(id: CacheId, { template, parent, access, ...options }: TemplateOptions): void {
    const from = requireLayer(this.locate(template));
    const kept = this.#ids.of(from);
    const { idMappings = kept.mappings } = options;
    if (access === "read-only") refuseStorageOptions(options);
    const fill = (made: LayerLocation) => {
      this.#ids.note(made, { ...kept, mappings: idMappings });
      copyDiff(from.dir, made.dir, options);
      this.#ids.adopt(made, kept.mappings);
    };
    this.#make(id, parent, { limits: access === "writable" ? this.#limitsOf(options) : UNLIMITED, idMappings, fill });
  }

  createReadWrite(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    this.#make(id, parent, { limits: this.#limitsOf(options), idMappings: options.idMappings });
  }

  treeOf(id: CacheId, access: "writable" | "read-only"): LayerTree {
    return this.#mounts.treeOf(this.locate(id), access);
  }

  async get(id: CacheId, options: GetOptions = {}): Promise<string> {
    const layer = requireLayer(this.locate(id));
    using _room = this.#quota.relax(layer.dir);
    return await this.#mounts.get(layer, options);
  }

  async put(id: CacheId): Promise<void> {
    await this.#mounts.put(this.locate(id));
  }

  changes(id: CacheId, parent: CacheId | undefined): Awaitable<Change[]> {
    return this.#diffs.changes(id, parent);
  }

  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return this.#diffs.diff(id, parent, options);
  }

  diffSize(id: CacheId, parent: CacheId | undefined): Awaitable<number> {
    return this.#diffs.diffSize(id, parent);
  }

  async applyDiff(id: CacheId, parent: CacheId | undefined, diff: Diff, options: ApplyOptions = {}): Promise<number> {
    this.outsideLayers.requireOwn(id);
    return await this.#diffs.applyDiff(id, parent, diff, options);
  }

  async supportsShifting(mappings: IdMappings): Promise<"yes" | "no"> {
    return await this.#mounts.whyNoShifting(mappings) === undefined ? "yes" : "no";
  }

  async updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): Promise<void> {
    const location = requireLayer(this.locate(id));
    const copyUp = this.capabilities.ownership === "recorded" ? () => this.#copyUp(id) : undefined;
    await remapLayer({ location, parents: this.parentsOf(id), ids: this.#ids, mounts: this.#mounts, copyUp }, options);
  }

  idMappingsOf(id: CacheId): IdMappings {
    return this.#ids.mappingsOf(requireLayer(this.locate(id)));
  }

  async remove(id: CacheId): Promise<void> {
    await this.#maker.remove(this.locate(id));
  }

  list(): readonly FoundLayer[] {
    return attempt("list the layers' directories", () => findLayers(this.#home.path));
  }

  needsOf(id: CacheId): readonly CacheId[] {
    return attempt(`look below layer ${id}`, () => findNeeded(this.#home.path, this.locate(id).dir));
  }

  mountsOver(id: CacheId): readonly string[] {
    return this.#mounts.over(this.locate(id));
  }

  debris(): readonly Debris[] {
    return attempt("list what belongs to no layer", () => findDebris(this.#home.path));
  }

  async removeDebris({ path }: Debris): Promise<void> {
    await unmountBelow(path);
    await removeTree(`remove "${path}"`, path);
  }

  check(id: CacheId, parents: readonly LayerLocation[]): readonly LayerFault[] {
    const location = this.locate(id);
    const find = () => [...findFaults(this.#home.path, location, parents), ...this.#ids.faults(location)];
    return attempt(`check layer ${id}`, find);
  }

  mend(id: CacheId, parents: readonly LayerLocation[]): void {
    this.#sealer.mend(id, parents);
  }

  readWriteDiskUsage(id: CacheId): DiskUsage {
    if (this.outsideLayers.standInOf(id) !== undefined) return { bytes: 0, inodes: 0 };
    using tree = this.openTree(requireLayer(this.locate(id)));
    return attempt(`measure layer ${id}`, () => directoryUsage(tree));
  }

  /** None: the driver has no such option. */
  additionalImageStores(): readonly string[] {
    return [];
  }

  metadata(id: CacheId): Readonly<Record<string, string>> {
    const { dir } = requireLayer(this.locate(id));
    const lowers = this.parentsOf(id).map((lower) => `${lower.dir}/diff`);
    return {
      ...(lowers.length > 0 ? { LowerDir: lowers.join(":") } : {}),
      MergedDir: `${dir}/merged`,
      UpperDir: `${dir}/diff`,
      WorkDir: `${dir}/work`,
    };
  }

  status(): readonly StatusRow[] {
    return [
      ["Backing Filesystem", fileSystemOf(this.#home.path).name],
      ...traitRows(this.#home.path, this.#home.options),
      ...this.#mounts.status(),
    ];
  }

  async cleanup(): Promise<void> {
    await this.#mounts.putAll();
  }

  #limitsOf({ storageOptions = {} }: CreateOptions): ProjectLimits {
    return parseLimits(storageOptions, this.#home.options.limits ?? UNLIMITED);
  }

  #make(id: CacheId, parent: CacheId | undefined, options: Omit<NewLayer, "location" | "below">): void {
    requireAbsent(this.locate(id));
    this.#maker.make({ ...options, location: this.locate(id), below: this.#stackOf(parent) });
  }

  /** Has a layer's own files hold all that shows. */
  async #copyUp(id: CacheId): Promise<void> {
    const stream = this.diff(id, undefined);
    await this.applyDiff(id, this.parentsOf(id)[0]?.cacheId, { kind: "tar", stream });
  }

  /** A layer with all below it, top first; nothing for no layer. */
  #stackOf(id: CacheId | undefined): readonly LayerLocation[] {
    return id === undefined ? [] : [requireLayer(this.locate(id)), ...this.parentsOf(id)];
  }
}
