// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are shown under other ids than they are kept under: through a writable layer that is mapped, to which nobody
 * writes.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { IDENTITY, type IdMappings, sameIdMappings } from "../../core/id_map.ts";
import { randomId, type RecordId } from "../../core/ids.ts";
import { type MountName, parseMountName } from "../../metadata/mounts.ts";
import type { StoreContext } from "../context.ts";
import { makeRWLayer } from "../create_rw_layer.ts";
import type { CreateLayerOptions } from "./create_layer.ts";

/** The writable layer through which a layer is shown under other ids than it is kept under; none where they are the same. */
export async function makeView(
  context: StoreContext,
  { id, chainId, idMappings: wanted, options }: {
    readonly id: RecordId;
    readonly chainId: ChainId;
    /** Absent: as the store keeps its layers. */
    readonly idMappings: IdMappings | undefined;
    readonly options: Pick<CreateLayerOptions, "mountLabel" | "signal">;
  },
): Promise<MountName | undefined> {
  const idMappings = await mapsToShow(context, chainId, wanted);
  if (idMappings === undefined) return undefined;
  const { mountLabel, signal } = options;
  const { name } = await makeRWLayer(context, ownMountName(id), {
    parent: chainId,
    record: id,
    idMappings,
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(signal === undefined ? {} : { signal }),
  });
  return name;
}

/**
 * The ids under which a layer has to be mapped to be shown under these, or as the store keeps its layers; `undefined` where it
 * is kept so. A layer that stands for one of another root may be kept under others.
 */
export async function mapsToShow(
  { driver, layerDb }: StoreContext,
  chainId: ChainId,
  wanted: IdMappings | undefined,
): Promise<IdMappings | undefined> {
  const maps = wanted ?? driver.spec.idMappings ?? IDENTITY;
  return sameIdMappings(maps, await driver.idMappingsOf(layerDb.read(chainId).cacheId)) ? undefined : maps;
}

/** A record may come to have another one, so the name is not the id alone. */
export function ownMountName(id: RecordId): MountName {
  return parseMountName(`record-${id}-${randomId().slice(0, 12)}`);
}
