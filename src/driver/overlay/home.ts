// SPDX-License-Identifier: Apache-2.0
/**
 * A home of the overlay driver: where its layers lie, under which ids, names and limits, and how they are read.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { LayerDir } from "../../changeset/mapped_dir.ts";
import { StackedView, type WhiteoutDialect } from "../../changeset/stacked_view.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { syncDir } from "../../host/durable.ts";
import { ensureDir, realPath } from "../../host/files.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { LayerIds } from "../parts/layer_ids.ts";
import { LayerQuota, UNLIMITED } from "../parts/quota.ts";
import { attempt } from "../parts/requests.ts";
import { openDiff, openDiffToChange } from "./layer_form.ts";
import { LayerNames } from "./layer_names.ts";
import { LINKS, readLowers, resolveLowers } from "./layout.ts";
import { type OverlayOptions, parseOverlayOptions } from "./options.ts";
import { diffOf } from "./outside/outside_diff.ts";
import { requireVisibleMarks } from "./hidden_marks.ts";
import { currentMarks, type MarkSpace, overlayDialect } from "./whiteouts.ts";

/** A layer's own note of the ids under which it is kept, in its directory. */
const ID_NOTE = "id-maps";
const HOME_MODE = 0o710;
const LINKS_MODE = 0o700;

/** One home, open. */
export class OverlayHome {
  /** Absolute, and without symlinks, since the kernel's table of mounts names mounts so. */
  readonly path: string;
  /** See {@link DriverSpec.within}. */
  readonly within: readonly string[] | undefined;
  readonly options: OverlayOptions;
  readonly ids: LayerIds;
  readonly names: LayerNames;
  readonly quota: LayerQuota;
  readonly marks: MarkSpace = currentMarks();
  readonly #dialect: WhiteoutDialect = overlayDialect(this.marks);

  /**
   * Makes the home when there is none, unless it is another store's. Nothing is tried but quotas, when there is an option for them.
   * @throws {StrataError} `INVALID_ARGUMENT` for options it does not have, `NOT_SUPPORTED` for limits that nothing keeps
   */
  constructor(spec: DriverSpec) {
    this.options = parseOverlayOptions(spec.options);
    const opening = `open the driver's home "${spec.home}"`;
    const { within } = spec;
    this.within = within;
    this.path = attempt(opening, () => {
      if (within !== undefined) return spec.home;
      ensureDir(spec.home, HOME_MODE);
      ensureDir(`${spec.home}/${LINKS}`, LINKS_MODE);
      return realPath(spec.home);
    });
    this.ids = new LayerIds(spec, {
      noteOf: ({ dir }) => `${dir}/${ID_NOTE}`,
      treeOf: ({ dir }) => diffOf(dir),
      open: ({ dir }) => openDiff(dir, { within }),
      openToChange: ({ dir }) => openDiffToChange(dir),
      isMark: (stat) => this.#dialect.isWhiteout(stat),
    });
    if (within === undefined) attempt(opening, () => this.ids.admitAll(this.path));
    this.names = new LayerNames(this.path);
    this.quota = new LayerQuota({ home: this.path, layers: this.path });
    this.quota.require(this.options.limits ?? UNLIMITED);
  }

  /** Where a layer lies, whether there is one or not. */
  locate(id: CacheId): LayerLocation {
    return { cacheId: id, dir: `${this.path}/${id}` };
  }

  /** The layers below one, topmost first, as its directory states them. */
  parentsOf(id: CacheId): readonly LayerLocation[] {
    const lowers = readLowers(this.locate(id).dir);
    return resolveLowers(this.path, lowers).map((lower) => this.locate(lower));
  }

  /** Makes the names in the home durable. */
  sync(): void {
    syncDir(`${this.path}/${LINKS}`);
    syncDir(this.path);
  }

  /** A layer's own files, in the kernel's form. */
  openTree(location: LayerLocation): RootedDir {
    return attempt(`read layer ${location.cacheId}`, () => openDiff(location.dir, { within: this.within }));
  }

  /**
   * What layers upon each other, topmost first, show together.
   * @throws {StrataError} `NOT_PERMITTED` also when their marks are another's to see
   */
  view(stack: readonly LayerLocation[]): TreeView {
    if (stack.length > 1) requireVisibleMarks(this.path);
    const layers: LayerDir[] = [];
    try {
      for (const location of stack) {
        layers.push(attempt(`read layer ${location.cacheId}`, () => this.ids.open(location)));
      }
      return new StackedView(layers, this.#dialect);
    } catch (error) {
      for (const layer of layers) layer[Symbol.dispose]();
      throw error;
    }
  }
}
