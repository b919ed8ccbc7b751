// SPDX-License-Identifier: Apache-2.0
/**
 * Homes of the vfs driver of containers/storage, read in place: `<home>/dir/<id>` is a whole tree.
 *
 * @module
 */
import type { Timespec } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerPath } from "../../core/layer_path.ts";
import { requireWithin } from "../../host/confined.ts";
import { directoryExists } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { Change } from "../../changeset/change.ts";
import { compareTrees } from "../../changeset/compare.ts";
import type { LayerDir } from "../../changeset/mapped_dir.ts";
import { PlainView } from "../../changeset/plain_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { DiffGetter } from "../interfaces/diff_driver.ts";
import type { DriverSpec, OutsideHome } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { OutsideTree } from "../interfaces/outside_layers.ts";
import type { DiskUsage, FoundLayer, LayerTree } from "../interfaces/proto_driver.ts";
import { directoryUsage } from "../parts/directory_size.ts";
import { attempt, requireLayer, topOf } from "../parts/requests.ts";
import { withoutIdleRoot } from "./idle_root.ts";
import { findOutsideLayers, locateIn, shownUnmapped } from "./outside_homes.ts";
import { ReadOnlyDriver } from "./read_only_driver.ts";
import { findStray } from "./stray_paths.ts";

/** Before every change, so that contents decide: copies have the times of what they were copied from. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };

/** Reads whole trees. */
export class VfsReader extends ReadOnlyDriver {
  readonly #dirs: readonly string[];

  constructor(spec: DriverSpec, outside?: () => OutsideHome) {
    super(spec, outside);
    this.#dirs = [spec.home, ...spec.outside?.furtherHomes ?? []].map((home) => `${home}/dir`);
  }

  locate(id: CacheId): LayerLocation {
    return locateIn(this.#dirs, id);
  }

  exists(id: CacheId): boolean {
    return directoryExists(this.locate(id).dir);
  }

  /** None: nothing beside the records tells on which layer one lies. */
  parentsOf(): readonly LayerLocation[] {
    return [];
  }

  list(): readonly FoundLayer[] {
    return attempt("list the layers' directories", () => findOutsideLayers(this.#dirs[0] ?? ""));
  }

  view(stack: readonly LayerLocation[]): TreeView {
    return new PlainView(this.#open(topOf(stack)));
  }

  diffGetter([own, below]: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
    return new VfsFiles(this.#tree(own), () => below === undefined ? undefined : this.#tree(below));
  }

  changes(id: CacheId, parent: CacheId | undefined): Change[] {
    using now = this.view([this.locate(id)]);
    if (parent === undefined) return compareTrees({ now, before: undefined });
    using before = this.view([this.locate(parent)]);
    return withoutIdleRoot(compareTrees({ now, before, unchangedBefore: BEGINNING }), { now, before });
  }

  readWriteDiskUsage(id: CacheId): DiskUsage {
    using tree = this.#tree(this.locate(id));
    return attempt(`measure layer ${id}`, () => directoryUsage(tree));
  }

  metadata(id: CacheId): Readonly<Record<string, string>> {
    requireLayer(this.locate(id));
    return {};
  }

  treeOf(id: CacheId): LayerTree {
    return { path: this.locate(id).dir, kind: "directory" };
  }

  protected asOutside(id: CacheId): OutsideTree {
    const { dir } = requireLayer(this.locate(id));
    const { within } = this.spec;
    if (within !== undefined) attempt(`use layer ${id}`, () => requireWithin(dir, within));
    return { dir, idMappings: this.idMappingsOf(id) };
  }

  #open(location: LayerLocation): LayerDir {
    return shownUnmapped(this.#tree(location), this.idMappingsOf(location.cacheId));
  }

  #tree(location: LayerLocation): RootedDir {
    const { dir } = requireLayer(location);
    return attempt(`read layer ${location.cacheId}`, () => RootedDir.open(dir, { within: this.spec.within }));
  }
}

/** The files of a whole tree. */
class VfsFiles implements DiffGetter {
  readonly #tree: RootedDir;
  readonly #openBelow: () => RootedDir | undefined;

  constructor(tree: RootedDir, openBelow: () => RootedDir | undefined) {
    this.#tree = tree;
    this.#openBelow = openBelow;
  }

  openRead(path: LayerPath): OpenFile {
    return this.#tree.openRead(path);
  }

  findStray(members: ReadonlySet<LayerPath>): LayerPath | undefined {
    using below = this.#openBelow();
    return findStray({
      tree: this.#tree,
      members,
      isWhiteout: () => false,
      isKnown: (path) => below?.stat(path) !== undefined,
    });
  }

  [Symbol.dispose](): void {
    this.#tree.close();
  }
}
