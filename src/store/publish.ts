// SPDX-License-Identifier: Apache-2.0
/**
 * The commit: staged layers become layers of the store, data first, then records (I1, I3).
 *
 * @module
 */
import type { LayerLocation } from "../driver/driver.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Staging } from "../metadata/staging.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { type StoreContext, syncUnlessVolatile, underLock } from "./context.ts";
import type { HeldLayers } from "./held_layers.ts";
import type { StagedChainLayer } from "./take_in.ts";

/** Layers to be published, bottom first. */
export interface PublishRequest {
  readonly staged: readonly StagedChainLayer[];
  readonly staging: Staging;
  /** The stack that the lowest lies on, top first. */
  readonly below: readonly LayerLocation[];
  /** Gets a hold of the top layer. */
  readonly held: HeldLayers;
  readonly signal: AbortSignal | undefined;
}

/**
 * Publishes layers, and gives their records: where another process was first, that one's. The top one is held when this
 * returns.
 * @throws {StrataError} `NOT_FOUND` when a layer below was deleted meanwhile
 */
export async function publishLayers(context: StoreContext, request: PublishRequest): Promise<LayerRecord[]> {
  await syncUnlessVolatile(context, { fileSystems: [request.staging.dir] });
  return await underLock(context, (lock) => publishUnderLock(context, lock, request), request.signal);
}

async function publishUnderLock(
  context: StoreContext,
  lock: WriteLock,
  { staged, below, held }: PublishRequest,
): Promise<LayerRecord[]> {
  const { driver, layerDb, layout } = context;
  requireFoundation(context, staged);
  const chosen = placeData(context, staged, below);
  const fresh = chosen.filter(({ layer, record }) => layer.sealed !== undefined && layer.record === record);
  if (fresh.length > 0) {
    await syncUnlessVolatile(context, { home: driver.spec });
    for (const { layer, record } of fresh) {
      layerDb.publish(lock, { chainId: record.chainId, stagedDir: layer.recordDir });
    }
    await syncUnlessVolatile(context, { dirs: [layout.layersDir, layout.layerDbDir] });
  }
  const top = chosen.at(-1)?.record.chainId;
  if (top !== undefined) held.add(top);
  return chosen.map(({ record }) => record);
}

/** The layers that these rely on and that were here before: held without the lock, so another may have been faster. */
function requireFoundation({ layerDb }: StoreContext, staged: readonly StagedChainLayer[]): void {
  const parent = staged[0]?.record.parent;
  if (parent !== undefined) layerDb.read(parent);
  for (const { record, sealed } of staged) if (sealed === undefined) layerDb.read(record.chainId);
}

interface Chosen {
  readonly layer: StagedChainLayer;
  readonly record: LayerRecord;
}

/** Moves the data of layers that are still new into the driver's home. A parent may be another process's by now. */
function placeData(
  { driver, layerDb }: StoreContext,
  staged: readonly StagedChainLayer[],
  below: readonly LayerLocation[],
): Chosen[] {
  let stack = below;
  let parents: "as sealed" | "another's" = "as sealed";
  return staged.map((layer) => {
    const present = layerDb.findSound(layer.record.chainId);
    if (present !== undefined || layer.sealed === undefined) {
      if (layer.sealed !== undefined) parents = "another's";
      const record = present ?? layer.record;
      stack = [driver.locate(record.cacheId), ...stack];
      return { layer, record };
    }
    if (parents === "another's") driver.rebase(layer.sealed, stack);
    driver.publish(layer.sealed);
    stack = [driver.locate(layer.record.cacheId), ...stack];
    return { layer, record: layer.record };
  });
}
