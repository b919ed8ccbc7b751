// SPDX-License-Identifier: Apache-2.0
/**
 * The vfs driver: each layer is a whole tree. It needs no mounts and no privilege, and shares blocks with the layer below
 * where the file system can.
 *
 *   vfs/                  0710  Docker's layout
 *     dir/                0710
 *       <id>/             the tree, or a symlink to one of another store
 *     baselines/<id>      this package's own: see `baseline.ts`
 *     id-maps/<id>        this package's own: see `stored_ids.ts`
 *
 * Nothing is mounted, so a layer got read-only is its directory, and whoever may write there can write.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { IdMappings } from "../../core/id_map.ts";
import type { Timespec } from "../../core/file_stat.ts";
import { syncDir } from "../../host/durable.ts";
import { exchangePaths, pathExists, removeTreeAt, renamePath } from "../../host/files.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { Change } from "../../changeset/change.ts";
import { compareTrees } from "../../changeset/compare.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { ApplyOptions, Diff, DiffGetter, DiffOptions } from "../interfaces/diff_driver.ts";
import { directoryUsage } from "../parts/directory_size.ts";
import type { Driver } from "../driver.ts";
import type { DifferDriver } from "../interfaces/differ_driver.ts";
import type { DriverCapabilities, DriverSpec } from "../interfaces/driver_spec.ts";
import type { UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import type { LayerIds } from "../parts/layer_ids.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import type { Debris, LayerFault } from "../interfaces/layer_upkeep.ts";
import type {
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
import { naiveDifferDriver } from "../naive/naive_differ.ts";
import { naiveDiffDriver } from "../naive/naive_diff.ts";
import { parseLimits, UNLIMITED } from "../parts/quota.ts";
import { attempt, refuseStorageOptions, removeTree, requireAbsent, requireLayer, topOf } from "../parts/requests.ts";
import { unfinishedAt } from "../parts/unfinished.ts";
import { viewedDiff, viewedDiffSize } from "../parts/view_diff.ts";
import { readBaseline, removeBaseline } from "./baseline.ts";
import { findDebris } from "./debris.ts";
import { VfsHome } from "./home.ts";
import { StandIns, treeFaults } from "./stand_ins.ts";
import { type NewTree, VfsTrees } from "./trees.ts";

/** Before every change, so that contents decide. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };
/** File systems that can share blocks between files. */
const SHARING = new Set(["btrfs", "xfs"]);

/** Makes vfs drivers. They work everywhere. */
export const VFS_FACTORY = {
  open: (spec: DriverSpec): Driver => new VfsDriver(spec),
  probe: (): Promise<undefined> => Promise.resolve(undefined),
};

/** Keeps each layer as a whole tree, in the layout of Docker's vfs driver. */
export class VfsDriver implements Driver {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities;
  readonly outsideLayers: StandIns;
  readonly differs: DifferDriver;
  readonly #home: VfsHome;
  readonly #ids: LayerIds;
  readonly #trees: VfsTrees;

  /**
   * Opens a home, making it when there is none.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have, `NOT_SUPPORTED` for limits that nothing keeps
   */
  constructor(spec: DriverSpec) {
    this.spec = spec;
    this.#home = new VfsHome(spec);
    this.#ids = this.#home.ids;
    this.#trees = new VfsTrees(this.#home);
    this.outsideLayers = new StandIns(this.#home);
    this.capabilities = {
      mounts: "yes",
      readOnlyMounts: "trusted",
      lowersMax: Infinity,
      ownership: this.#home.ownership,
      reflink: SHARING.has(fileSystemOf(this.#home.path).name) ? "yes" : "no",
      reproducesExactDiffs: "no",
    };
    this.differs = naiveDifferDriver(this);
  }

  locate(id: CacheId): LayerLocation {
    return this.#home.locate(id);
  }

  exists(id: CacheId): boolean {
    return pathExists(this.locate(id).dir);
  }

  parentsOf(): readonly LayerLocation[] {
    return [];
  }

  seal(request: SealRequest): SealedLayer {
    const { changeset, cacheId } = request;
    const dir = attempt(`seal layer ${cacheId}`, () => this.#trees.seal(request));
    return { cacheId, dir, sizeBytes: changeset.sizeBytes };
  }

  /** Nothing to do: a layer holds the whole tree, and the parents' content is the same. */
  rebase(): void {}

  publish(sealed: SealedLayer): void {
    const target = this.locate(sealed.cacheId);
    requireAbsent(target);
    attempt(`publish layer ${sealed.cacheId}`, () => {
      this.#home.prepare();
      renamePath(sealed.dir, target.dir, { replace: "never" });
    });
  }

  replace(sealed: SealedLayer): void {
    const { dir } = this.locate(sealed.cacheId);
    if (!pathExists(dir)) return this.publish(sealed);
    attempt(`replace layer ${sealed.cacheId}`, () => {
      exchangePaths(sealed.dir, dir);
      // A stand-in may have been kept otherwise than sealed layers are.
      this.#ids.forget(sealed);
    });
  }

  syncHome(): void {
    syncDir(`${this.#home.path}/dir`);
  }

  view(stack: readonly LayerLocation[]): TreeView {
    const top = topOf(stack);
    return new PlainView(attempt(`read layer ${top.cacheId}`, () => this.#ids.open(top)));
  }

  openTree(location: LayerLocation): RootedDir {
    return this.#trees.open(location);
  }

  /** The layer's tree: all of it is its own. */
  diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
    return this.openTree(requireLayer(stack[0]));
  }

  create(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    refuseStorageOptions(options);
    this.#make(id, parent, { ...options, limits: UNLIMITED });
  }

  /** A layer is its whole tree, so which parent it is does not matter. */
  createFromTemplate(id: CacheId, { template, access, parent, ...options }: TemplateOptions): void {
    if (parent !== undefined) requireLayer(this.locate(parent));
    if (access === "writable") this.createReadWrite(id, template, options);
    else this.create(id, template, options);
  }

  /** The limits count the whole tree, the copied one included. */
  createReadWrite(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    const limits = parseLimits(options.storageOptions ?? {}, this.#home.limits);
    this.#make(id, parent, { ...options, limits });
  }

  treeOf(id: CacheId): LayerTree {
    return { path: this.locate(id).dir, kind: "directory" };
  }

  /** The layer's own directory: there is nothing to mount, whatever the options; so no owners are mapped. */
  get(id: CacheId, { idMappings }: GetOptions = {}): Promise<string> {
    const location = requireLayer(this.locate(id));
    if (idMappings !== undefined) this.#ids.require(location, idMappings);
    return Promise.resolve(location.dir);
  }

  put(): Promise<void> {
    return Promise.resolve();
  }

  changes(id: CacheId, parent: CacheId | undefined): Change[] {
    using now = this.view([requireLayer(this.locate(id))]);
    if (parent === undefined) return compareTrees({ now, before: undefined });
    using before = this.view([requireLayer(this.locate(parent))]);
    const baseline = readBaseline(this.#home.baselineOf(id));
    const unchangedBefore = baseline?.parent === parent ? baseline.copiedAt : BEGINNING;
    return compareTrees({ now, before, unchangedBefore });
  }

  diff(id: CacheId, parent: CacheId | undefined, options: DiffOptions = {}): ReadableStream<Uint8Array> {
    return viewedDiff(this, { ...options, id, parent });
  }

  diffSize(id: CacheId, parent: CacheId | undefined): Promise<number> {
    return viewedDiffSize(this, { id, parent });
  }

  async applyDiff(id: CacheId, parent: CacheId | undefined, diff: Diff, options: ApplyOptions = {}): Promise<number> {
    this.outsideLayers.requireOwn(id);
    return await naiveDiffDriver(this).applyDiff(id, parent, diff, options);
  }

  supportsShifting(): "no" {
    return "no";
  }

  updateLayerIdMap(id: CacheId, { from, to }: UpdateIdMapOptions): void {
    const location = requireLayer(this.locate(id));
    this.outsideLayers.requireOwn(id);
    this.#ids.require(location, from);
    attempt(`map the owners of layer ${id}`, () => this.#ids.change(location, to));
  }

  idMappingsOf(id: CacheId): IdMappings {
    return this.#ids.mappingsOf(requireLayer(this.locate(id)));
  }

  async remove(id: CacheId): Promise<void> {
    const dirs = [this.locate(id), unfinishedAt(this.locate(id))].map(({ dir }) => dir);
    for (const dir of dirs) {
      await unmountBelow(dir);
      this.#home.quota.free(dir);
    }
    attempt(`remove layer ${id}`, () => removeBaseline(this.#home.baselineOf(id)));
    for (const dir of dirs) await removeTree(`remove layer ${id}`, dir);
    // Not before: without its note, what is left of a tree would seem to belong to others.
    attempt(`remove layer ${id}`, () => this.#ids.forget(this.locate(id)));
  }

  list(): readonly FoundLayer[] {
    return attempt("list the layers' directories", () => findLayers(`${this.#home.path}/dir`));
  }

  /** None: a layer is its whole tree. */
  needsOf(): readonly CacheId[] {
    return [];
  }

  /** Nobody's: writable layers are copies, and layers are not mounted. */
  mountsOver(): readonly string[] {
    return [];
  }

  debris(): readonly Debris[] {
    return attempt("list what belongs to no layer", () => findDebris(this.#home.path));
  }

  removeDebris({ path }: Debris): Promise<void> {
    attempt(`remove "${path}"`, () => removeTreeAt(path));
    return Promise.resolve();
  }

  check(id: CacheId): readonly LayerFault[] {
    return treeFaults(this.locate(id).dir);
  }

  /** Nothing can be: a layer is its tree. */
  mend(): void {}

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
    return { SourceDir: requireLayer(this.locate(id)).dir };
  }

  status(): readonly StatusRow[] {
    return [["Backing Filesystem", fileSystemOf(this.#home.path).name]];
  }

  /** Unmounts what others mounted inside the layers; the driver itself mounts nothing. */
  async cleanup(): Promise<void> {
    await unmountBelow(this.#home.path);
  }

  #make(id: CacheId, parent: CacheId | undefined, options: NewTree): void {
    requireAbsent(this.locate(id));
    const below = parent === undefined ? undefined : requireLayer(this.locate(parent));
    this.#trees.make(this.locate(id), below, options);
  }
}
