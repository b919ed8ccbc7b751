// SPDX-License-Identifier: Apache-2.0
/**
 * Mapping the owners of any driver's layers, by changing them one by one, and remembering for each layer under which ids it
 * is kept since: what compares its tree must know.
 *
 * The notes lie in the driver's home, `.strata-id-maps/<id>`; most layers need none. That a layer's owners are being changed
 * is noted before the first one is (see {@link IdNotes}).
 *
 * @module
 */
import { type IdMappings, isIdentity, rootPair, sameIdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import type { LayerIdMapUpdater, UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { Debris, LayerFault } from "../interfaces/layer_upkeep.ts";
import type { Awaitable, CreateOptions, ProtoDriver } from "../interfaces/proto_driver.ts";
import { IdNotes } from "../parts/id_notes.ts";
import { findLayers } from "../parts/layer_directory.ts";
import { attempt } from "../parts/requests.ts";
import { LayerTrees } from "./layer_trees.ts";

/** The notes, in the home. */
const NOTES = ".strata-id-maps";

/** Maps owners, and keeps notes that somebody has to throw away. */
export interface NotingIdMapUpdater extends LayerIdMapUpdater {
  /** Throws the note of a layer away; to be called when the layer is removed, after its tree. */
  forget(id: CacheId): void;
}

/**
 * Maps owners in the tree that `get` gives; `put` follows. No layer is mapped by its mount. `completeDriver` calls `forget`,
 * and notes of a layer that is made on a mapped one, or as its copy, that it is mapped, too.
 */
export function naiveLayerIdMapUpdater(
  proto: Pick<ProtoDriver, "get" | "put" | "treeOf" | "spec">,
): NotingIdMapUpdater {
  return new NaiveIdMaps(proto);
}

/** How a layer is made that has notes. */
export interface NotedLayer extends Pick<CreateOptions, "idMappings" | "mountLabel"> {
  /** The layer with whose tree it begins; absent, it begins empty. */
  readonly like: CacheId | undefined;
}

/** Keeps account of the maps of a proto driver's layers. */
export class NaiveIdMaps implements NotingIdMapUpdater {
  readonly #proto: Pick<ProtoDriver, "get" | "put" | "treeOf" | "spec">;
  readonly #trees: LayerTrees;
  readonly #dir: string;
  readonly #notes: IdNotes;

  /** @throws {StrataError} `INVALID_ARGUMENT` for a driver's maps that make no sense */
  constructor(proto: Pick<ProtoDriver, "get" | "put" | "treeOf" | "spec">) {
    this.#proto = proto;
    this.#trees = new LayerTrees(proto);
    this.#dir = `${proto.spec.home}/${NOTES}`;
    this.#notes = new IdNotes(proto.spec, ({ cacheId }) => `${this.#dir}/${cacheId}`);
  }

  supportsShifting(): "no" {
    return "no";
  }

  async updateLayerIdMap(id: CacheId, { from, to, mountLabel }: UpdateIdMapOptions): Promise<void> {
    const location = this.#locate(id);
    this.#notes.require(location, from);
    if (sameIdMappings(from, to)) return;
    await using view = await this.#trees.open(id, { access: "writable", mountLabel });
    this.#notes.changeOwners(location, { tree: view.root, to });
  }

  /** @throws {StrataError} `CORRUPT` for a layer whose owners were only partly changed */
  idMappingsOf(id: CacheId): IdMappings {
    return this.#notes.mappingsOf(this.#locate(id));
  }

  /**
   * Makes a layer, whose tree the driver makes of another's as it is on disk. The note comes first: without it, the tree would
   * seem to belong to others.
   * @param make makes the layer, and maps nothing
   * @throws what `make` throws, and {@link NaiveIdMaps.updateLayerIdMap}; the caller then removes the layer and forgets it
   */
  async make(id: CacheId, { like, idMappings, mountLabel }: NotedLayer, make: () => Awaitable<void>): Promise<void> {
    const below = like && this.#locate(like);
    const made = this.#notes.forNew(below === undefined ? idMappings : undefined, below);
    this.#notes.note(this.#locate(id), made);
    await make();
    if (below === undefined) await this.#giveToRoot(id, { to: made.mappings, mountLabel });
    if (idMappings === undefined) return;
    await this.updateLayerIdMap(id, {
      from: made.mappings,
      to: idMappings,
      ...(mountLabel === undefined ? {} : { mountLabel }),
    });
  }

  /**
   * Makes sure that a layer is shown as a caller wants it, since no mount maps it.
   * @throws {StrataError} `INVALID_ARGUMENT`
   */
  require(id: CacheId, expected: IdMappings): void {
    this.#notes.require(this.#locate(id), expected);
  }

  /** Lets a layer's note go along with the layer, under whose new name there was none. */
  async rename(
    { from, to }: { readonly from: CacheId; readonly to: CacheId },
    act: () => Awaitable<void>,
  ): Promise<void> {
    this.#notes.note(this.#locate(to), this.#notes.of(this.#locate(from)));
    await act();
    this.forget(from);
  }

  forget(id: CacheId): void {
    this.#notes.forget(this.#locate(id));
  }

  /** What a failed change of owners has left of a layer. */
  faults(id: CacheId): readonly LayerFault[] {
    return this.#notes.faults(this.#locate(id));
  }

  /** Notes of layers that are no more, or not yet. */
  strays(exists: (id: CacheId) => boolean): readonly Debris[] {
    return attempt("list the notes of id maps", () => findLayers(this.#dir)).filter(({ cacheId }) => !exists(cacheId))
      .map(({ cacheId, modifiedMs }) => {
        return {
          path: `${this.#dir}/${cacheId}`,
          what: "a note of a layer's id maps",
          modifiedMs,
          use: "none",
          cacheId,
        };
      });
  }

  /** What the driver made empty belongs to the root of its maps, as all that will be in it does. */
  async #giveToRoot(
    id: CacheId,
    { to, mountLabel }: { readonly to: IdMappings; readonly mountLabel: string | undefined },
  ): Promise<void> {
    if (isIdentity(to)) return;
    const { uid, gid } = rootPair(to);
    await using view = await this.#trees.open(id, { access: "writable", mountLabel });
    view.root.setOwner(ROOT, uid, gid);
  }

  #locate(id: CacheId): LayerLocation {
    return { cacheId: id, dir: this.#proto.treeOf(id, "writable").path };
  }
}
