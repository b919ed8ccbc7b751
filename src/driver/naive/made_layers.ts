// SPDX-License-Identifier: Apache-2.0
/**
 * Making and removing a proto driver's layers, so that a layer is there whole or not at all: what could not be made is
 * removed, and what a killed process was making is no layer.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { fromOsError } from "../../host/errno.ts";
import type { LayerIdMapUpdater } from "../interfaces/layer_id_maps.ts";
import type { Debris } from "../interfaces/layer_upkeep.ts";
import type { Awaitable, CreateOptions, FoundLayer, ProtoDriver } from "../interfaces/proto_driver.ts";
import { attempt, requireMade, requireUnused, translated } from "../parts/requests.ts";
import { NaiveIdMaps } from "./naive_id_maps.ts";
import { UnfinishedLayers } from "./unfinished_layers.ts";

/** What layers are made by. */
export type MakingDriver = ProtoDriver & Partial<LayerIdMapUpdater>;

/** A layer to be made. */
export interface NewLayer {
  readonly id: CacheId;
  /** The layer with whose tree it begins. */
  readonly like: CacheId | undefined;
  /** What it lies on, where that is something else. */
  readonly parent?: CacheId | undefined;
  readonly options: CreateOptions;
}

/** The layers of one proto driver. */
export class MadeLayers {
  /** Keeps account of id maps; `undefined` where the driver does. */
  readonly ids: NaiveIdMaps | undefined;
  readonly #proto: MakingDriver;
  readonly #unfinished: UnfinishedLayers;

  constructor(proto: MakingDriver) {
    this.#proto = proto;
    this.ids = proto.updateLayerIdMap === undefined ? new NaiveIdMaps(proto) : undefined;
    this.#unfinished = new UnfinishedLayers(proto.spec.home);
  }

  /** Whether a layer is there, and whole. */
  exists(id: CacheId): boolean {
    return this.#proto.exists(id) && !this.#unfinished.has(id);
  }

  /** Those that are whole. */
  list(): readonly FoundLayer[] {
    return attempt("list the layers", () => {
      const found = this.#proto.list();
      const unfinished = new Set(this.#unfinished.list());
      return found.filter(({ cacheId }) => !unfinished.has(cacheId));
    });
  }

  /**
   * Makes a layer; nothing is left of one that fails.
   * @param make has the driver make it, with options that are the driver's business
   * @throws {StrataError} `CONFLICT` when the id is taken, `NOT_FOUND` for a layer that it needs; what `make` throws
   */
  async make(
    { id, like, parent, options }: NewLayer,
    make: (options: CreateOptions) => Awaitable<void>,
  ): Promise<void> {
    requireUnused({ exists: () => this.#proto.exists(id) || this.#unfinished.has(id) }, id);
    for (const other of [parent, like]) if (other !== undefined) requireMade(this, other);
    try {
      this.#unfinished.begin(id);
      const { idMappings: _, ...others } = options;
      if (this.ids === undefined) await make(options);
      else await this.ids.make(id, { ...options, like }, () => make(others));
      this.#unfinished.end(id);
    } catch (error) {
      await this.remove(id);
      throw fromOsError(error, `create layer ${id}`);
    }
  }

  /** Removes a layer, whole or not. Absence is no error. */
  async remove(id: CacheId): Promise<void> {
    await translated(`remove layer ${id}`, async () => {
      await this.#proto.remove(id);
      // Not before: without its note, what is left of a tree would seem to belong to others.
      this.ids?.forget(id);
      this.#unfinished.end(id);
    });
  }

  /** What is there of layers that are not, or not yet. */
  debris(): readonly Debris[] {
    const unfinished = attempt("list unfinished layers", () => this.#unfinished.debris());
    const isPart = (id: CacheId) => this.#proto.exists(id) || this.#unfinished.has(id);
    return [...unfinished, ...this.ids?.strays(isPart) ?? []];
  }
}
