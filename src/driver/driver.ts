// SPDX-License-Identifier: Apache-2.0
/**
 * What a driver is: a directory layout, a dialect for whiteouts, and mount options. All else is shared, above or below.
 *
 * A driver knows directories named by {@link CacheId}; it knows no digests and no records. Its parts are interfaces of
 * their own. A driver's author writes the first one, and `completeDriver` makes the others of it:
 *
 * - {@link ProtoDriver}: trees by id, mounted and unmounted
 * - {@link DiffDriver}, {@link DiffGetterDriver}: what differs between layers
 * - {@link LayerIdMapUpdater}: owners mapped, for containers with ids of their own
 * - {@link LayerSealer}, {@link LayerUpkeep}: what the layer store needs beside
 * - {@link DifferDriver}: layers whose files somebody else brings
 * - {@link OutsideLayers}, {@link AdditionalLayerDriver}, where the driver can: layers of other stores
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import type { CacheId } from "../core/ids.ts";
import type { AdditionalLayerDriver } from "./interfaces/additional_layer_driver.ts";
import type { DiffDriver, DiffGetterDriver } from "./interfaces/diff_driver.ts";
import type { DifferDriver } from "./interfaces/differ_driver.ts";
import type { LayerIdMapUpdater } from "./interfaces/layer_id_maps.ts";
import type { LayerLocation, LayerSealer } from "./interfaces/layer_sealer.ts";
import type { LayerUpkeep } from "./interfaces/layer_upkeep.ts";
import type { OutsideLayers } from "./interfaces/outside_layers.ts";
import type { ProtoDriver } from "./interfaces/proto_driver.ts";

/** Keeps layers and mounts stacks of them: all that the layer store works with. */
export interface Driver extends ProtoDriver, DiffDriver, DiffGetterDriver, LayerIdMapUpdater, LayerSealer, LayerUpkeep {
  /** Layers whose files differs bring. */
  readonly differs: DifferDriver;
  /** Layers whose files lie in other stores. Absent: the driver cannot have such. */
  readonly outsideLayers?: OutsideLayers;
  /** Layers of additional layer stores. Absent: the driver knows no such stores. */
  readonly additionalLayers?: AdditionalLayerDriver;
}

/** A layer in the driver's home and the stack below it, top first. */
export function stackOf(
  driver: Pick<LayerSealer, "locate" | "parentsOf">,
  id: CacheId,
): [LayerLocation, ...LayerLocation[]] {
  return [driver.locate(id), ...driver.parentsOf(id)];
}

/**
 * The part of a driver that uses layers of other stores.
 * @throws {StrataError} `NOT_SUPPORTED` when the driver has none
 */
export function outsideLayersOf({ spec, outsideLayers }: Pick<Driver, "spec" | "outsideLayers">): OutsideLayers {
  if (outsideLayers !== undefined) return outsideLayers;
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot use layers of other stores with driver "${spec.name}": it has no layers whose files lie outside of its home; ` +
      'use driver "overlay2" or "vfs", or copy the layers',
    { feature: "layers of other stores" },
  );
}
