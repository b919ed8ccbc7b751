// SPDX-License-Identifier: Apache-2.0
/**
 * Layers for containers with ids of their own: kept under mapped ids, or mapped when they are mounted.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import type { IdMappings } from "../../core/id_map.ts";
import type { Awaitable } from "./proto_driver.ts";

/** How a layer is given to other owners. */
export interface UpdateIdMapOptions {
  /** The maps under which its tree is shown now; the identity for a layer with its archive's ids. */
  readonly from: IdMappings;
  /** The maps under which it is to be shown. */
  readonly to: IdMappings;
  /** SELinux label of the mount that it may take. */
  readonly mountLabel?: string;
}

/** Maps the owners of layers. `naive_id_maps.ts` makes it out of any `ProtoDriver`, by changing the owners of whole trees. */
export interface LayerIdMapUpdater {
  /**
   * Whether `get` can map the owners of layers that are kept under their archives' ids. Then nothing needs to be copied:
   * the layer is made with these maps, or mounted with them.
   */
  supportsShifting(mappings: IdMappings): Awaitable<"yes" | "no">;
  /**
   * Gives a layer that nothing is upon, and that is not mounted, to the owners that other maps ask for.
   * @throws {StrataError} `NOT_FOUND`; `INVALID_ARGUMENT` for an owner that the maps do not hold, and nothing has changed
   */
  updateLayerIdMap(id: CacheId, options: UpdateIdMapOptions): Awaitable<void>;
  /**
   * The maps under which a layer is kept and, unless `get` is told otherwise, shown: the identity for one with its archive's
   * ids. Drivers that keep no note of each layer tell the maps that they were opened with.
   */
  idMappingsOf(id: CacheId): Awaitable<IdMappings>;
}
