// SPDX-License-Identifier: Apache-2.0
/**
 * Homes of the overlay driver of containers/storage, read in place (`overlay_homes.ts`).
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { FileStat, Timespec } from "../../core/file_stat.ts";
import type { CacheId } from "../../core/ids.ts";
import type { LayerPath } from "../../core/layer_path.ts";
import { directoryExists } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { Change } from "../../changeset/change.ts";
import { compareTrees, compareUpper } from "../../changeset/compare.ts";
import type { LayerDir } from "../../changeset/mapped_dir.ts";
import { StackedView, type WhiteoutDialect } from "../../changeset/stacked_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { DiffGetter } from "../interfaces/diff_driver.ts";
import type { DriverSpec, OutsideHome } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { OutsideTree } from "../interfaces/outside_layers.ts";
import type { DiskUsage, FoundLayer, LayerTree } from "../interfaces/proto_driver.ts";
import { OverlayFiles } from "../overlay/diff_files.ts";
import { ProgramDir } from "../overlay/program_dir.ts";
import { requireVisibleMarks } from "../overlay/hidden_marks.ts";
import { currentMarks, overlayDialect } from "../overlay/whiteouts.ts";
import { directoryUsage } from "../parts/directory_size.ts";
import { attempt, requireLayer } from "../parts/requests.ts";
import { withoutIdleRoot } from "./idle_root.ts";
import { findOutsideLayers, shownUnmapped } from "./outside_homes.ts";
import { OverlayHomes } from "./overlay_homes.ts";
import { ReadOnlyDriver } from "./read_only_driver.ts";
import { findStray } from "./stray_paths.ts";

/** Before every change, so that contents decide. Files of a shared layer are the same inode, and are not read. */
const BEGINNING: Timespec = { sec: 0, nsec: 0 };

const USER_MARK = /^user\.overlay\./;

/** Reads layers that lie upon each other. */
export class OverlayReader extends ReadOnlyDriver {
  readonly #homes: OverlayHomes;
  readonly #dialect: WhiteoutDialect;

  constructor(spec: DriverSpec, outside?: () => OutsideHome) {
    super(spec, outside);
    this.#homes = new OverlayHomes([spec.home, ...spec.outside?.furtherHomes ?? []], { within: spec.within });
    const dialect = overlayDialect(this.#homes.marks);
    // That tool leaves the marks of either kind out of its diffs, whoever made them.
    this.#dialect = { ...dialect, isPrivateXattr: (name) => dialect.isPrivateXattr(name) || USER_MARK.test(name) };
  }

  locate(id: CacheId): LayerLocation {
    return this.#homes.locate(id);
  }

  exists(id: CacheId): boolean {
    return directoryExists(this.locate(id).dir);
  }

  parentsOf(id: CacheId): readonly LayerLocation[] {
    return this.#homes.parentsOf(id);
  }

  list(): readonly FoundLayer[] {
    return attempt("list the layers' directories", () => findOutsideLayers(this.spec.home));
  }

  view(stack: readonly LayerLocation[]): TreeView {
    if (stack.length > 1) requireVisibleMarks(this.spec.home);
    const layers: LayerDir[] = [];
    try {
      for (const location of stack) layers.push(...this.#open(location));
      return new StackedView(layers, this.#dialect);
    } catch (error) {
      for (const layer of layers) layer[Symbol.dispose]();
      throw error;
    }
  }

  /** What the layer does not hold itself is looked up where its own directory says, which its record may not know. */
  diffGetter([own]: readonly [LayerLocation, ...LayerLocation[]]): DiffGetter {
    // What changing owners copied from layers below lies in the other directories.
    const [top] = this.#homes.treesOf(own);
    const whole = (): TreeView => this.view(this.#stackOf(own.cacheId));
    return new LayerFiles(this.#openTree(own, top), { whole, dialect: this.#dialect });
  }

  /** Of layers upon each other, the upper directory alone is walked. */
  changes(id: CacheId, parent: CacheId | undefined): Change[] {
    const stack = this.#stackOf(id);
    using now = this.view(stack);
    if (parent === undefined) return compareTrees({ now, before: undefined });
    using before = this.view(this.#stackOf(parent));
    const [top, ...rotated] = this.#homes.treesOf(stack[0]);
    if (stack[1]?.cacheId !== parent || rotated.length > 0) {
      return withoutIdleRoot(compareTrees({ now, before, unchangedBefore: BEGINNING }), { now, before });
    }
    using upper = this.#openTree(stack[0], top);
    const copies = upper instanceof ProgramDir ? { isCopy: (path: LayerPath) => upper.isCopy(path) } : {};
    const changes = compareUpper({ upper, dialect: this.#dialect, now, before, ...copies });
    return withoutIdleRoot(changes, { now, before });
  }

  readWriteDiskUsage(id: CacheId): DiskUsage {
    const location = this.locate(id);
    const usages = this.#homes.treesOf(location).map((path) => {
      using tree = this.#openTree(location, path);
      return attempt(`measure layer ${id}`, () => directoryUsage(tree));
    });
    return {
      bytes: usages.reduce((sum, { bytes }) => sum + bytes, 0),
      inodes: usages.reduce((sum, { inodes }) => sum + inodes, 0),
    };
  }

  metadata(id: CacheId): Readonly<Record<string, string>> {
    const [location, ...parents] = this.#stackOf(id);
    const [upper, ...rotated] = this.#homes.treesOf(location);
    const lowers = [...rotated, ...parents.flatMap((parent) => this.#homes.treesOf(parent))];
    return {
      ...(lowers.length > 0 ? { LowerDir: lowers.join(":") } : {}),
      MergedDir: `${location.dir}/merged`,
      UpperDir: upper,
      WorkDir: `${location.dir}/work`,
    };
  }

  treeOf(id: CacheId): LayerTree {
    return { path: `${this.locate(id).dir}/merged`, kind: "mount" };
  }

  /** @throws {StrataError} also `NOT_SUPPORTED` for a layer that mounts would show otherwise than it is */
  protected asOutside(id: CacheId): OutsideTree {
    const [dir, ...rotated] = this.#homes.treesOf(this.locate(id));
    if (rotated.length > 0) {
      throw notUsable(id, "its files are kept in several directories, since their owners were changed");
    }
    if (this.parentsOf(id).length > 0) requireVisibleMarks(this.spec.home);
    if (this.#homes.marks !== currentMarks()) {
      throw notUsable(id, "a user without privileges wrote it, whose opaque directories this process cannot mount");
    }
    // Opening it to see its form sees as well that no symlink leads out.
    const form = attempt(`use layer ${id}`, () => this.#homes.formOf(dir));
    return { dir, idMappings: this.idMappingsOf(id), form };
  }

  #stackOf(id: CacheId): readonly [LayerLocation, ...LayerLocation[]] {
    return [requireLayer(this.locate(id)), ...this.parentsOf(id)];
  }

  /** A layer's own files under the ids of its archive, topmost first. */
  #open(location: LayerLocation): LayerDir[] {
    return this.#homes.treesOf(location).map((path) =>
      shownUnmapped(
        this.#openTree(location, path),
        this.idMappingsOf(location.cacheId),
        (stat) => this.#dialect.isWhiteout(stat),
      )
    );
  }

  #openTree({ cacheId }: LayerLocation, path: string): RootedDir {
    return attempt(`read layer ${cacheId}`, () => this.#homes.openTree(path));
  }
}

/** How a layer's files are looked at beside opening them. */
interface LayerFilesOptions {
  /** The layer and all below it. */
  readonly whole: () => TreeView;
  readonly dialect: WhiteoutDialect;
}

/** The files that one layer brought. */
class LayerFiles extends OverlayFiles {
  readonly #tree: RootedDir;
  readonly #dialect: WhiteoutDialect;

  /** Takes the layer's directory over. */
  constructor(tree: RootedDir, { whole, dialect }: LayerFilesOptions) {
    super(tree, whole);
    this.#tree = tree;
    this.#dialect = dialect;
  }

  /** See {@link DiffGetter.findStray}. */
  findStray(members: ReadonlySet<LayerPath>): LayerPath | undefined {
    const isWhiteout = (stat: FileStat): boolean => this.#dialect.isWhiteout(stat);
    return findStray({ tree: this.#tree, members, isWhiteout, isKnown: () => false });
  }
}

function notUsable(id: CacheId, why: string): StrataError<"NOT_SUPPORTED"> {
  return new StrataError(
    "NOT_SUPPORTED",
    `Cannot use layer ${id} of containers/storage in place: ${why}; copy the layer with "strata adopt"`,
    { feature: "layers of other stores" },
  );
}
