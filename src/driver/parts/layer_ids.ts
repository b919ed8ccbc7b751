// SPDX-License-Identifier: Apache-2.0
/**
 * Under which ids the layers of one home are kept, and how they are shown under those of their archives.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { FileStat } from "../../core/file_stat.ts";
import {
  checkIdMappings,
  containerShift,
  formatIdMap,
  IDENTITY,
  type IdMappings,
  isIdentity,
  rootPair,
  sameIdMappings,
} from "../../core/id_map.ts";
import { ROOT } from "../../core/layer_path.ts";
import { pathExists, removeTreeAt } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { type LayerDir, MappedDir } from "../../changeset/mapped_dir.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { readStoredIds, type StoredIds, writeStoredIds } from "./stored_ids.ts";

/** A home's layout, as far as it matters here. */
export interface LayerIdsOptions {
  /** Where a layer's own note lies. */
  readonly noteOf: (location: LayerLocation) => string;
  /** Where a layer's own files lie. */
  readonly treeOf: (location: LayerLocation) => string;
  /** Opens them, where they are not kept as they are. */
  readonly open?: (location: LayerLocation) => RootedDir;
  /** Whether an object among them is a mark of the driver's. */
  readonly isMark?: (stat: FileStat) => boolean;
}

/** The ids of the layers of one home. */
export class LayerIds {
  readonly #driver: StoredIds;
  readonly #options: LayerIdsOptions;

  /** @throws {StrataError} `INVALID_ARGUMENT` for maps that make no sense */
  constructor({ idMappings = IDENTITY }: DriverSpec, options: LayerIdsOptions) {
    this.#driver = { mappings: checkIdMappings(idMappings), lowers: "mapped" };
    this.#options = options;
  }

  /** How a layer is kept: as its note says, else as all layers of the driver. */
  of(location: LayerLocation): StoredIds {
    return readStoredIds(this.#options.noteOf(location)) ?? this.#driver;
  }

  /** The maps under which a layer is kept. */
  mappingsOf(location: LayerLocation): IdMappings {
    return this.of(location).mappings;
  }

  /** Whether a layer has a note of its own. Layers that are made on one inherit it. */
  isNoted(location: LayerLocation): boolean {
    return pathExists(this.#options.noteOf(location));
  }

  /** How a layer that is made with these maps, or with those of the layer below, is to be kept. */
  forNew(mappings: IdMappings | undefined, below: LayerLocation | undefined): StoredIds {
    const inherited = below === undefined ? this.#driver : this.of(below);
    if (mappings === undefined || sameIdMappings(mappings, inherited.mappings)) return inherited;
    return { mappings: checkIdMappings(mappings), lowers: "mapped" };
  }

  /** Notes how a layer is kept, if that is not how the driver keeps all. */
  note(location: LayerLocation, stored: StoredIds): void {
    const isUsual = stored.lowers === "mapped" && sameIdMappings(stored.mappings, this.#driver.mappings);
    if (!isUsual || this.isNoted(location)) writeStoredIds(this.#options.noteOf(location), stored);
  }

  /** Forgets the note of a layer that is no more. */
  forget(location: LayerLocation): void {
    removeTreeAt(this.#options.noteOf(location));
  }

  /** A layer's own files under the ids of its archive. */
  open(location: LayerLocation): LayerDir {
    const dir = this.#open(location);
    const mappings = this.mappingsOf(location);
    if (isIdentity(mappings)) return dir;
    const { isMark } = this.#options;
    return new MappedDir(dir, { shift: containerShift(mappings), ...(isMark === undefined ? {} : { isMark }) });
  }

  /** Gives a layer's root directory, in which nothing is, to the root of its maps. */
  giveToRoot(location: LayerLocation): void {
    const mappings = this.mappingsOf(location);
    if (isIdentity(mappings)) return;
    const { uid, gid } = rootPair(mappings);
    using tree = this.#open(location);
    tree.setOwner(ROOT, uid, gid);
  }

  /** Lets the root of a layer's container through a directory of the driver's on the way to its tree, by the group. */
  admit(location: LayerLocation, path: string): void {
    admitRoot(this.mappingsOf(location), path);
  }

  /** As {@link LayerIds.admit}, for a directory that all layers have in common. */
  admitAll(path: string): void {
    admitRoot(this.#driver.mappings, path);
  }

  /** Gives files that were copied as they are from another layer to the owners under which this one is kept. */
  adopt(location: LayerLocation, from: IdMappings): void {
    this.#chown(location, { from, to: this.mappingsOf(location) });
  }

  /**
   * Gives a layer's own files to the owners that other maps ask for, and notes it.
   * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold: nothing is changed then
   */
  change(location: LayerLocation, to: IdMappings): void {
    const { mappings: from, lowers } = this.of(location);
    if (sameIdMappings(from, to)) return;
    this.#chown(location, { from, to: checkIdMappings(to) });
    this.note(location, { mappings: to, lowers });
  }

  /**
   * Makes sure that a layer is kept under the maps that a caller believes it to be.
   * @throws {StrataError} `INVALID_ARGUMENT` if it is not
   */
  require(location: LayerLocation, expected: IdMappings): void {
    const mappings = this.mappingsOf(location);
    if (sameIdMappings(mappings, expected)) return;
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Cannot map the owners of layer ${location.cacheId}: it is kept under ${describe(mappings)}, not under ` +
        `${describe(expected)}; give the maps that it has`,
      { argument: "idMappings" },
    );
  }

  #open(location: LayerLocation): RootedDir {
    return this.#options.open?.(location) ?? RootedDir.open(this.#options.treeOf(location));
  }

  #chown(location: LayerLocation, { from, to }: { readonly from: IdMappings; readonly to: IdMappings }): void {
    if (sameIdMappings(from, to)) return;
    using tree = this.#open(location);
    const { isMark } = this.#options;
    chownTreeByMaps(tree, { from, to, ...(isMark === undefined ? {} : { isMark }) });
  }
}

function admitRoot(mappings: IdMappings, path: string): void {
  if (isIdentity(mappings)) return;
  using dir = RootedDir.open(path);
  const stat = dir.stat(ROOT);
  const { gid } = rootPair(mappings);
  if (stat !== undefined && stat.gid !== gid) dir.setOwner(ROOT, stat.uid, gid);
}

/** Maps as people read them. */
export function describe({ uids, gids }: IdMappings): string {
  return `users ${formatIdMap(uids) || "as they are"}, groups ${formatIdMap(gids) || "as they are"}`;
}
