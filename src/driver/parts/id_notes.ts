// SPDX-License-Identifier: Apache-2.0
/**
 * Notes of the ids under which the layers of one home are kept.
 *
 * While owners are being changed, the note says so, durably and before the first one is: a process that is killed in the
 * middle leaves a tree of which nobody can tell any more whose a file is, since the same number may stand on both sides of
 * the maps. Such a layer can only be removed. It is refused, rather than shown with the owners of others.
 *
 * @module
 */
import { dirname } from "node:path";
import { chownTreeByMaps } from "../../changeset/chown_tree.ts";
import { StrataError } from "../../core/errors.ts";
import type { FileStat } from "../../core/file_stat.ts";
import { checkIdMappings, formatIdMap, IDENTITY, type IdMappings, sameIdMappings } from "../../core/id_map.ts";
import { ensureDir, pathExists, removeTreeAt } from "../../host/files.ts";
import { mountAt } from "../../host/mount_table.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { LayerFault } from "../interfaces/layer_upkeep.ts";
import { readStoredIds, type StoredIds, writeStoredIds } from "./stored_ids.ts";

const DIR_MODE = 0o700;

/** How a tree that is shown or kept under other ids is given to its new owners. */
export interface ChangeOwnersRequest {
  /** The layer's tree, or its own files. */
  readonly tree: RootedDir;
  /** The maps under which it is to be kept. */
  readonly to: IdMappings;
  /** What the layers below are to the layer then; absent, what they are now. */
  readonly lowers?: StoredIds["lowers"];
  /** Whether an object is a mark of the driver's. */
  readonly isMark?: ((stat: FileStat) => boolean) | undefined;
}

/** The notes of one home. */
export class IdNotes {
  /** How layers without a note are kept. */
  readonly usual: StoredIds;
  readonly #noteOf: (location: LayerLocation) => string;

  /**
   * @param noteOf where a layer's note lies
   * @throws {StrataError} `INVALID_ARGUMENT` for maps that make no sense
   */
  constructor({ idMappings = IDENTITY }: Pick<DriverSpec, "idMappings">, noteOf: (location: LayerLocation) => string) {
    this.usual = { mappings: checkIdMappings(idMappings), lowers: "mapped" };
    this.#noteOf = noteOf;
  }

  /**
   * How a layer is kept: as its note says, else as all layers of the driver.
   * @throws {StrataError} `CORRUPT` for a layer whose owners were only partly changed
   */
  of(location: LayerLocation): StoredIds {
    const stored = this.#read(location) ?? this.usual;
    if (stored.changingTo === undefined) return stored;
    const path = this.#noteOf(location);
    throw new StrataError(
      "CORRUPT",
      `Cannot tell who owns the files of layer ${location.cacheId}: their owners are being changed, or were when that ` +
        "failed or was killed; wait for it, or remove the layer",
      { path },
    );
  }

  /** The maps under which a layer is kept. */
  mappingsOf(location: LayerLocation): IdMappings {
    return this.of(location).mappings;
  }

  /** Whether a layer has a note of its own. Layers that are made on one inherit it. */
  isNoted(location: LayerLocation): boolean {
    return pathExists(this.#noteOf(location));
  }

  /** What a change of owners that did not come to its end has left of a layer. */
  faults(location: LayerLocation): readonly LayerFault[] {
    if (this.#read(location)?.changingTo === undefined) return [];
    const problem = "says that the owners of the layer's files are changed only in part";
    return [{ path: this.#noteOf(location), problem, mending: "impossible" }];
  }

  /** How a layer that is made with these maps, or with those of the layer below, is to be kept. */
  forNew(mappings: IdMappings | undefined, below: LayerLocation | undefined): StoredIds {
    const inherited = below === undefined ? this.usual : this.of(below);
    if (mappings === undefined || sameIdMappings(mappings, inherited.mappings)) return inherited;
    return { mappings: checkIdMappings(mappings), lowers: "mapped" };
  }

  /** Notes how a layer is kept, if that is not how the driver keeps all. */
  note(location: LayerLocation, stored: StoredIds): void {
    const isUsual = stored.lowers === "mapped" && sameIdMappings(stored.mappings, this.usual.mappings);
    if (!isUsual || this.isNoted(location)) this.#write(location, stored, "none");
  }

  /** Forgets the note of a layer that is no more. */
  forget(location: LayerLocation): void {
    removeTreeAt(this.#noteOf(location));
  }

  /**
   * Gives a tree to the owners that other maps ask for, and notes it.
   * @throws {StrataError} `INVALID_ARGUMENT` for an owner that the maps do not hold: nothing is changed then; later what the
   *   system reports, and the layer can only be removed
   */
  changeOwners(location: LayerLocation, { tree, to, lowers, isMark }: ChangeOwnersRequest): void {
    const stored = this.of(location);
    if (sameIdMappings(stored.mappings, checkIdMappings(to))) return;
    chownTreeByMaps(tree, {
      from: stored.mappings,
      to,
      ...(isMark === undefined ? {} : { isMark }),
      servedBy: mountAt(tree.path)?.fsType.startsWith("fuse") ? "program" : "kernel",
      whenChecked: () => this.#write(location, { ...stored, changingTo: to }, "full"),
    });
    this.#write(location, { mappings: to, lowers: lowers ?? stored.lowers }, "full");
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

  #read(location: LayerLocation): StoredIds | undefined {
    return readStoredIds(this.#noteOf(location));
  }

  #write(location: LayerLocation, stored: StoredIds, durability: "full" | "none"): void {
    const path = this.#noteOf(location);
    ensureDir(dirname(path), DIR_MODE);
    writeStoredIds(path, stored, { durability });
  }
}

/** Maps as people read them. */
export function describe({ uids, gids }: IdMappings): string {
  return `users ${formatIdMap(uids) || "as they are"}, groups ${formatIdMap(gids) || "as they are"}`;
}
