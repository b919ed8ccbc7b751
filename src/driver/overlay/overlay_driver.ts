// SPDX-License-Identifier: Apache-2.0
/**
 * The overlay driver: each layer keeps its own files only, and the kernel's overlayfs stacks them.
 *
 * @module
 */
import type { Timespec } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import { syncDir } from "../../host/durable.ts";
import { fromOsError } from "../../host/errno.ts";
import {
  ensureDir,
  exchangePaths,
  makeSymlink,
  pathExists,
  realPath,
  removeTreeAt,
  renamePath,
} from "../../host/files.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import { mayMount } from "../../host/mount_right.ts";
import type { ProjectLimits } from "../../host/quota_structs.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { Change } from "../../changeset/change.ts";
import { compareTrees, compareUpper } from "../../changeset/compare.ts";
import { StackedView, type WhiteoutDialect } from "../../changeset/stacked_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { DiffGetter } from "../diff_driver.ts";
import { directoryUsage } from "../directory_size.ts";
import type { Driver } from "../driver.ts";
import type { DriverCapabilities, DriverSpec } from "../driver_spec.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../layer_sealer.ts";
import type { Debris, LayerFault } from "../layer_upkeep.ts";
import type {
  CreateOptions,
  DiskUsage,
  FoundLayer,
  GetOptions,
  LayerTree,
  StatusRow,
  TemplateOptions,
} from "../proto_driver.ts";
import { copyRootMetadata, findLayers, makeDirectory } from "../layer_directory.ts";
import { unmountBelow } from "../mounting.ts";
import { ownershipHere } from "../ownership.ts";
import { LayerQuota, parseLimits, UNLIMITED } from "../quota.ts";
import { attempt, refuseStorageOptions, requireAbsent, requireLayer } from "../requests.ts";
import { OverlayFiles } from "./diff_files.ts";
import { copyDiff } from "./template.ts";
import { findDebris, findFaults, findLinkTo, findNeeded } from "./check.ts";
import {
  findLinked,
  findLinkName,
  type LinkName,
  LINKS,
  linkTarget,
  randomLinkName,
  readLinkName,
  readLinksBelow,
  readLowers,
  resolveLowers,
} from "./layout.ts";
import { OverlayMounts } from "./mounts.ts";
import { LOWERS_MAX, parseOverlayOptions } from "./options.ts";
import { probeOverlay, traitRows } from "./probe.ts";
import {
  isCommitted,
  lowersOn,
  markCommitted,
  sealOverlay,
  writeLayerFiles,
  writeLinkName,
  writeLowers,
} from "./seal.ts";
import { currentMarks, type MarkSpace, overlayDialect } from "./whiteouts.ts";

const HOME_MODE = 0o710;
const LINKS_MODE = 0o700;
const DIFF_MODE = 0o755;
/** Before every change, so that contents decide. Files of a shared layer are the same inode, and are not read. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };

/** Makes overlay drivers. */
export const OVERLAY_FACTORY = {
  open: (spec: DriverSpec): Driver => new OverlayDriver(spec),
  probe: probeOverlay,
};

/** Keeps layers in the layout of Docker's overlay2 driver. */
export class OverlayDriver implements Driver {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities;
  readonly #home: string;
  readonly #mounts: OverlayMounts;
  readonly #marks: MarkSpace = currentMarks();
  readonly #dialect: WhiteoutDialect = overlayDialect(this.#marks);
  readonly #quota: LayerQuota;
  readonly #limits: ProjectLimits;

  /**
   * Opens a home, making it when there is none. Nothing is probed but quotas, when there is an option for them.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have, `NOT_SUPPORTED` for limits that nothing keeps
   */
  constructor(spec: DriverSpec) {
    this.spec = spec;
    const options = parseOverlayOptions(spec.options);
    this.#home = attempt(`open the driver's home "${spec.home}"`, () => {
      ensureDir(spec.home, HOME_MODE);
      ensureDir(`${spec.home}/${LINKS}`, LINKS_MODE);
      return realPath(spec.home);
    });
    this.#mounts = new OverlayMounts(this.#home, options);
    this.#quota = new LayerQuota({ home: this.#home, layers: this.#home });
    this.#limits = options.limits ?? UNLIMITED;
    this.#quota.require(this.#limits);
    this.capabilities = {
      mounts: mayMount() ? "yes" : "no",
      readOnlyMounts: "enforced",
      lowersMax: LOWERS_MAX,
      ownership: ownershipHere(options.chownErrors),
      reflink: "no",
      reproducesExactDiffs: "no",
    };
  }

  locate(id: CacheId): LayerLocation {
    return { cacheId: id, dir: `${this.#home}/${id}` };
  }

  exists(id: CacheId): boolean {
    return pathExists(this.locate(id).dir);
  }

  parentsOf(id: CacheId): readonly LayerLocation[] {
    const lowers = readLowers(this.locate(id).dir);
    return resolveLowers(this.#home, lowers).map((lower) => this.locate(lower));
  }

  seal(request: SealRequest): SealedLayer {
    return attempt(
      `seal layer ${request.cacheId}`,
      () =>
        sealOverlay(request, { view: (stack) => this.view(stack), link: this.#linkFor(request), marks: this.#marks }),
    );
  }

  rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): void {
    writeLowers(sealed.dir, lowersOn(parents));
  }

  publish(sealed: SealedLayer): void {
    const { dir } = this.locate(sealed.cacheId);
    requireAbsent(this.locate(sealed.cacheId));
    // The name comes second: what a crash leaves between the two goes with the directory, which no record names.
    attempt(`publish layer ${sealed.cacheId}`, () => {
      renamePath(sealed.dir, dir, { replace: "never" });
      this.#nameLayer(sealed.cacheId);
    });
  }

  replace(sealed: SealedLayer): void {
    const { dir } = this.locate(sealed.cacheId);
    attempt(`replace layer ${sealed.cacheId}`, () => {
      if (pathExists(dir)) exchangePaths(sealed.dir, dir);
      else renamePath(sealed.dir, dir, { replace: "never" });
      this.#nameLayer(sealed.cacheId);
    });
  }

  syncHome(): void {
    syncDir(`${this.#home}/${LINKS}`);
    syncDir(this.#home);
  }

  view(stack: readonly LayerLocation[]): TreeView {
    const layers: RootedDir[] = [];
    try {
      for (const location of stack) layers.push(this.openTree(location));
      return new StackedView(layers, this.#dialect);
    } catch (error) {
      for (const layer of layers) layer.close();
      throw error;
    }
  }

  openTree(location: LayerLocation): RootedDir {
    return attempt(`read layer ${location.cacheId}`, () => RootedDir.open(`${location.dir}/diff`));
  }

  diffGetter(stack: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
    return new OverlayFiles(this.openTree(stack[0]), () => this.view(stack));
  }

  /** The parent becomes read-only; the new layer does when it is a parent itself. */
  create(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    refuseStorageOptions(options);
    this.#make(id, parent, UNLIMITED);
  }

  createFromTemplate(id: CacheId, { template, parent, access, ...options }: TemplateOptions): void {
    const from = requireLayer(this.locate(template));
    if (access === "writable") this.createReadWrite(id, parent, options);
    else this.create(id, parent, options);
    try {
      copyDiff(from.dir, this.locate(id).dir, options);
    } catch (error) {
      this.#discard(id);
      throw fromOsError(error, `copy layer ${template}`);
    }
  }

  createReadWrite(id: CacheId, parent: CacheId | undefined, options: CreateOptions = {}): void {
    this.#make(id, parent, parseLimits(options.storageOptions ?? {}, this.#limits));
  }

  treeOf(id: CacheId, access: "writable" | "read-only"): LayerTree {
    return this.#mounts.treeOf(this.locate(id), access);
  }

  async get(id: CacheId, options: GetOptions = {}): Promise<string> {
    const layer = requireLayer(this.locate(id));
    return await this.#quota.relaxed(layer.dir, () => this.#mounts.get(layer, options));
  }

  async put(id: CacheId): Promise<void> {
    await this.#mounts.put(this.locate(id));
  }

  changes(id: CacheId, parent: CacheId | undefined): Change[] {
    const stack = this.#stackOf(id);
    using now = this.view(stack);
    if (parent === undefined) return compareTrees({ now, before: undefined });
    using before = this.view(this.#stackOf(parent));
    if (stack[1]?.cacheId !== parent) return compareTrees({ now, before, unchangedBefore: BEGINNING });
    using upper = this.openTree(this.locate(id));
    return compareUpper({ upper, dialect: this.#dialect, now, before });
  }

  async remove(id: CacheId): Promise<void> {
    const { dir } = this.locate(id);
    if (!pathExists(dir)) return;
    await unmountBelow(dir);
    this.#quota.free(dir);
    attempt(`remove layer ${id}`, () => this.#discard(id));
  }

  list(): readonly FoundLayer[] {
    return attempt("list the layers' directories", () => findLayers(this.#home));
  }

  needsOf(id: CacheId): readonly CacheId[] {
    return attempt(`look below layer ${id}`, () => findNeeded(this.#home, this.locate(id).dir));
  }

  mountsOver(id: CacheId): readonly string[] {
    return this.#mounts.over(this.locate(id));
  }

  debris(): readonly Debris[] {
    return attempt("list what belongs to no layer", () => findDebris(this.#home));
  }

  async removeDebris({ path }: Debris): Promise<void> {
    await unmountBelow(path);
    attempt(`remove "${path}"`, () => removeTreeAt(path));
  }

  check(id: CacheId, parents: readonly LayerLocation[]): readonly LayerFault[] {
    return attempt(`check layer ${id}`, () => findFaults(this.#home, this.locate(id), parents));
  }

  mend(id: CacheId, parents: readonly LayerLocation[]): void {
    attempt(`mend layer ${id}`, () => {
      const { dir } = this.locate(id);
      if (findLinkName(dir) === undefined) writeLinkName(dir, findLinkTo(this.#home, id) ?? randomLinkName());
      this.#nameLayer(id);
      const lowers = lowersOn(parents);
      if (lowers.length > 0) writeLowers(dir, lowers);
    });
  }

  readWriteDiskUsage(id: CacheId): DiskUsage {
    using tree = this.openTree(this.locate(id));
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
    return [["Backing Filesystem", fileSystemOf(this.#home).name], ...traitRows(this.#home)];
  }

  async cleanup(): Promise<void> {
    await this.#mounts.putAll();
  }

  #make(id: CacheId, parent: CacheId | undefined, limits: ProjectLimits): void {
    requireAbsent(this.locate(id));
    const below = this.#stackOf(parent);
    const { dir } = this.locate(id);
    try {
      const whenMade = () => this.#quota.limit(dir, limits);
      writeLayerFiles(dir, { lowers: lowersOn(below), link: randomLinkName(), whenMade });
      makeDirectory(`${dir}/diff`, DIFF_MODE);
      this.#inheritRoot(id, below);
      this.#nameLayer(id);
    } catch (error) {
      this.#quota.free(dir);
      removeTreeAt(dir);
      throw fromOsError(error, `create layer ${id}`);
    }
    if (below[0] !== undefined && !isCommitted(below[0].dir)) markCommitted(below[0].dir);
  }

  #discard(id: CacheId): void {
    const { dir } = this.locate(id);
    this.#quota.free(dir);
    const link = findLinkName(dir);
    if (link !== undefined) removeTreeAt(`${this.#home}/${LINKS}/${link}`);
    removeTreeAt(dir);
  }

  /** A layer with all below it, top first; nothing for no layer. */
  #stackOf(id: CacheId | undefined): readonly LayerLocation[] {
    return id === undefined ? [] : [requireLayer(this.locate(id)), ...this.parentsOf(id)];
  }

  /** A layer that is made again keeps the name by which the layers above know it. */
  #linkFor({ cacheId, children = [] }: SealRequest): LinkName {
    const [known] = children.flatMap((child) => readLinksBelow(this.locate(child).dir).slice(0, 1));
    return known ?? findLinkName(this.locate(cacheId).dir) ?? randomLinkName();
  }

  #nameLayer(id: CacheId): void {
    const link = readLinkName(this.locate(id).dir);
    if (findLinked(this.#home, link) === id) return;
    const path = `${this.#home}/${LINKS}/${link}`;
    removeTreeAt(path);
    makeSymlink(path, linkTarget(id));
  }

  /** Overlayfs shows the upper's root directory as the merged root, so it must look like the one below. */
  #inheritRoot(id: CacheId, below: readonly LayerLocation[]): void {
    if (below.length === 0) return;
    using tree = this.openTree(this.locate(id));
    using view = this.view(below);
    copyRootMetadata(view, tree);
  }
}
