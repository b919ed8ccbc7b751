// SPDX-License-Identifier: Apache-2.0
/**
 * The commit: staged layers become layers of the store, data first, then records (I1, I3).
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Staging } from "../metadata/staging.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { throwIfAborted } from "../stream/signal.ts";
import { type StoreContext, syncUnlessVolatile, underLock } from "./context.ts";
import type { HeldLayers } from "./held_layers.ts";
import { isSameMaking, requireUnmounted } from "./replacement.ts";
import type { MadeLayer, StagedChainLayer } from "./seal_layers.ts";

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
  throwIfAborted(request.signal);
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
  const chosen = chooseLayers(context, staged);
  const fresh = chosen.flatMap(({ layer: { made, record }, choice }) => {
    return made === undefined || choice === "present" ? [] : [{ made, chainId: record.chainId }];
  });
  for (const { made, chainId } of fresh) requireReplaceable(context, chainId, made);
  await placeData(context, chosen, below);
  if (fresh.length > 0) {
    await syncUnlessVolatile(context, { home: driver.spec });
    for (const { made, chainId } of fresh) {
      layerDb.publish(lock, { chainId, stagedDir: made.recordDir, existing: "replace" });
    }
    await syncUnlessVolatile(context, { dirs: [layout.layersDir, layout.layerDbDir] });
  }
  const records = chosen.map(({ record }) => record);
  const top = records.at(-1)?.chainId;
  if (top !== undefined) held.add(top);
  return records;
}

/** The layers that these rely on and that were here before, or were to be. */
function requireFoundation({ layerDb }: StoreContext, staged: readonly StagedChainLayer[]): void {
  const parent = staged[0]?.record.parent;
  if (parent !== undefined) layerDb.read(parent);
  for (const { record, made } of staged) if (made === undefined) layerDb.read(record.chainId);
}

interface ChosenLayer {
  readonly layer: StagedChainLayer;
  /** Whether the staged layer is used, or the one that is here. */
  readonly choice: "staged" | "present";
  readonly record: LayerRecord;
}

/** Another may have been faster; then its layer is taken, unless it is the very one that was found damaged. */
function chooseLayers({ layerDb }: StoreContext, staged: readonly StagedChainLayer[]): ChosenLayer[] {
  return staged.map((layer) => {
    const { record, made } = layer;
    if (made === undefined) return { layer, choice: "present", record };
    const present = layerDb.findSound(record.chainId);
    const isDamaged = present !== undefined && made.replaces !== undefined && isSameMaking(present, made.replaces);
    if (present === undefined || isDamaged) return { layer, choice: "staged", record };
    return { layer, choice: "present", record: present };
  });
}

/** A damaged layer's data gives way only while nobody looks at it. */
function requireReplaceable(context: StoreContext, chainId: ChainId, { sealed }: MadeLayer): void {
  if (context.driver.exists(sealed.cacheId)) requireUnmounted(context, chainId, sealed.cacheId);
}

/** Moves the data of layers that are new into the driver's home. A parent may be another process's by now. */
async function placeData(
  { driver }: StoreContext,
  chosen: readonly ChosenLayer[],
  below: readonly LayerLocation[],
): Promise<void> {
  let stack = below;
  let parents: "as sealed" | "another's" = "as sealed";
  for (const { layer: { made }, choice, record } of chosen) {
    if (made !== undefined && choice === "present") parents = "another's";
    if (made !== undefined && choice === "staged") {
      if (parents === "another's") await driver.rebase(made.sealed, stack);
      if (driver.exists(record.cacheId)) await driver.replace(made.sealed);
      else await driver.publish(made.sealed);
    }
    stack = [driver.locate(record.cacheId), ...stack];
  }
}
