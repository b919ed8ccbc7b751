// SPDX-License-Identifier: Apache-2.0
/**
 * Giving an overlay layer to other owners.
 *
 * Where mounts can map the layers below, only the layer's own files change hands. Elsewhere all that shows of the layers
 * below is copied up, by changing owners through a mount, and stays in the layer's own `diff`: containers/storage puts that
 * copy into a lower directory of the layer's own, which no other reader of this layout knows. What the layer changed is
 * found by comparison either way, and owners are compared as the container sees them. Where attributes tell owners, which mount
 * programs forget, the layer gets its own whole diff instead; until the owners are changed that changes nothing.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { type IdMappings, isIdentity, sameIdMappings } from "../../core/id_map.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { UpdateIdMapOptions } from "../interfaces/layer_id_maps.ts";
import type { LayerIds } from "../parts/layer_ids.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import type { OverlayMounts } from "./mounting/mounts.ts";
import { isCommitted } from "./seal.ts";

/** A layer, and what its home knows. */
export interface RemappedLayer {
  readonly location: LayerLocation;
  /** The stack below, top first. */
  readonly parents: readonly LayerLocation[];
  readonly ids: LayerIds;
  readonly mounts: Pick<OverlayMounts, "get" | "put" | "over" | "whyNoShifting">;
  /** Copies all that shows of the layers below, where a mount would forget owners. Absent: it does not. */
  readonly copyUp?: (() => Promise<void>) | undefined;
}

/**
 * Gives a writable layer that is not mounted to the owners that other maps ask for.
 * @throws {StrataError} `IN_USE` for a layer that is mounted or read-only; `INVALID_ARGUMENT` for an owner that the maps do
 *   not hold, before anything is changed
 */
export async function remapLayer(layer: RemappedLayer, { from, to, mountLabel }: UpdateIdMapOptions): Promise<void> {
  const { location, ids, mounts, copyUp } = layer;
  ids.require(location, from);
  requireFree(layer);
  if (sameIdMappings(from, to)) return;
  if (await canShow(layer, to)) return ids.change(location, to);
  if (copyUp !== undefined) {
    await copyUp();
    return ids.change(location, to, { lowers: "covered" });
  }
  const path = await mounts.get(location, mountLabel === undefined ? {} : { mountLabel });
  try {
    using tree = RootedDir.open(path);
    ids.changeOwners(location, { tree, to, lowers: "covered" });
  } finally {
    await mounts.put(location);
  }
}

/** Whether a mount shows the layers below under these maps, so that nothing has to be copied. */
async function canShow({ location, parents, ids, mounts }: RemappedLayer, to: IdMappings): Promise<boolean> {
  if (ids.of(location).lowers === "covered") return true;
  const others = parents.map((parent) => ids.mappingsOf(parent)).filter((kept) => !sameIdMappings(kept, to));
  if (others.length === 0) return true;
  return others.every(isIdentity) && await mounts.whyNoShifting(to) === undefined;
}

/** A layer that others lie upon, or that has been published, never changes (I2). */
function requireFree({ location, mounts }: RemappedLayer): void {
  const { cacheId, dir } = location;
  const usedBy = mounts.over(location);
  if (usedBy.length === 0 && !isCommitted(dir)) return;
  const reason = usedBy.length > 0 ? `it is mounted at "${usedBy[0]}"` : "it is read-only";
  throw new StrataError(
    "IN_USE",
    `Cannot map the owners of layer ${cacheId}: ${reason}; make a layer on it, or a copy of it, with these maps`,
    { kind: "layer", name: cacheId, usedBy },
  );
}
