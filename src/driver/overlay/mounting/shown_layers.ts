// SPDX-License-Identifier: Apache-2.0
/**
 * The layers of a mount under the ids that its user wants to see.
 *
 * @module
 */
import type { CacheId } from "../../../core/ids.ts";
import { StrataError } from "../../../core/errors.ts";
import { type IdMappings, isIdentity, sameIdMappings } from "../../../core/id_map.ts";
import { describe } from "../../parts/id_notes.ts";
import type { LayerIds } from "../../parts/layer_ids.ts";
import type { LayerLocation } from "../../interfaces/layer_sealer.ts";
import { outsideOf } from "../outside/outside_diff.ts";
import { MappedHome } from "./mapped_home.ts";

/** A layer that is about to be mounted. */
export interface ShownLayer {
  readonly location: LayerLocation;
  /** Path relative to the home. */
  readonly path: string;
}

/** What a mount's layers are shown as. */
export interface ShowRequest {
  readonly home: string;
  readonly ids: LayerIds;
  readonly layers: readonly ShownLayer[];
  readonly mappings: IdMappings;
  /** Who can map layers: nobody, when a program makes the mounts. */
  readonly mapper: "kernel" | "none";
}

/** Paths for one mount. Dispose of them when it is made. */
export class ShownLayers implements AsyncDisposable {
  /** In the order of the layers, relative to the home. */
  readonly paths: readonly string[];
  readonly #mapped: MappedHome | undefined;

  private constructor(paths: readonly string[], mapped: MappedHome | undefined) {
    this.paths = paths;
    this.#mapped = mapped;
  }

  /** The layers as they are. */
  static plain(layers: readonly ShownLayer[]): ShownLayers {
    return new ShownLayers(layers.map(({ path }) => path), undefined);
  }

  /**
   * Layers that are kept under the wanted ids stay as they are, those kept under their archives' are mapped.
   * @throws {StrataError} `NOT_SUPPORTED` or `IO` where the kernel cannot map them, `INVALID_ARGUMENT` for a layer that is
   *   kept under yet other ids
   */
  static async open({ home, ids, layers, mappings, mapper }: ShowRequest): Promise<ShownLayers> {
    const kept = layers.map(({ location }) => ids.mappingsOf(location));
    const isPlain = kept.map((stored) => sameIdMappings(stored, mappings));
    const odd = kept.findIndex((stored, i) => !isPlain[i] && !isIdentity(stored));
    if (odd >= 0) refuse(layers[odd]!.location.cacheId, kept[odd]!, mappings);
    if (isPlain.every((plain) => plain)) return ShownLayers.plain(layers);
    if (mapper === "none") throw cannotMap();
    const outside = layers.map(({ location }, i) => isPlain[i] ? undefined : outsideOf(location.dir));
    const mapped = await MappedHome.open(home, { mappings, outside: outside.flatMap((dir) => dir ?? []) });
    return new ShownLayers(layers.map(({ path }, i) => isPlain[i] ? path : mapped.pathOf(path, outside[i])), mapped);
  }

  /** Gives the mapped home back, if there is one. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#mapped?.[Symbol.asyncDispose]();
  }
}

function cannotMap(): StrataError {
  return new StrataError(
    "NOT_SUPPORTED",
    "Cannot map the owners of layers: mounts are made by a program; give the layer to other owners instead",
    { feature: "id-mapped mounts" },
  );
}

function refuse(id: CacheId, kept: IdMappings, wanted: IdMappings): never {
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot show layer ${id} under ${describe(wanted)}: it is kept under ${
      describe(kept)
    }; give it to other owners first`,
    { argument: "idMappings" },
  );
}
