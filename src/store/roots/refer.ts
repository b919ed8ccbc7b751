// SPDX-License-Identifier: Apache-2.0
/**
 * Using layers of roots that are only read: as parents, and to be mounted. The store gets a record of such a layer, and the
 * driver a stand-in, whose files stay where they are. From then on it is a layer as any other, and goes when nothing needs
 * it; only what it stands for is not the store's to keep.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { outsideLayersOf } from "../../driver/driver.ts";
import { openRegular } from "../../host/files.ts";
import { type Claim, directoryClaim, layerClaim } from "../../metadata/claims.ts";
import type { LayerRecord } from "../../metadata/layer_record.ts";
import { recordsOf } from "../chains.ts";
import { namingRoot, type StoreContext, syncUnlessVolatile, underLock } from "../context.ts";
import { copyTarSplit } from "../copy_tar_split.ts";
import type { HeldLayers } from "../held_layers.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";

/** The root that has a layer which the store itself has not; the first of them. */
export function rootOf({ layerDb, readOnlyRoots }: StoreContext, chainId: ChainId): ReadOnlyRoot | undefined {
  return layerDb.has(chainId) ? undefined : readOnlyRoots.find(({ reading }) => reading.layerDb.has(chainId));
}

/**
 * Makes sure that the store has a layer, if only by a stand-in. It is held from here on.
 * @throws {StrataError} `NOT_FOUND` when no root has it; `NOT_SUPPORTED` when its root has another driver; `NO_SPACE`,
 *   `LOCKED`
 */
export async function ensureHere(context: StoreContext, chainId: ChainId, held: HeldLayers): Promise<void> {
  held.add(chainId);
  const root = rootOf(context, chainId);
  if (root === undefined) return;
  context.dockerd.requireAbsent();
  await namingRoot(context, () => referTo(context, root, chainId));
}

async function referTo(context: StoreContext, root: ReadOnlyRoot, top: ChainId): Promise<void> {
  requireSameDriver(context, root);
  let below: CacheId | undefined;
  for (const record of recordsOf(root.reading, top).reverse()) {
    below = await referToOne(context, { root, record, below });
  }
}

interface Reference {
  readonly root: ReadOnlyRoot;
  readonly record: LayerRecord;
  /** The directory of the layer below, in this store. */
  readonly below: CacheId | undefined;
}

async function referToOne(context: StoreContext, reference: Reference): Promise<CacheId> {
  const { chainId } = reference.record;
  const known = context.layerDb.findSound(chainId);
  if (known !== undefined) return known.cacheId;
  using _making = await context.claims.take(layerClaim(chainId));
  const now = context.layerDb.findSound(chainId);
  if (now !== undefined) return now.cacheId;
  const cacheId = randomCacheId();
  // Until the record is there, the directory is garbage for gc.
  using _claim: Claim = await context.claims.take(directoryClaim(cacheId));
  try {
    return await makeReference(context, cacheId, reference);
  } catch (error) {
    await context.driver.remove(cacheId).catch(() => {});
    throw error;
  }
}

async function makeReference(context: StoreContext, cacheId: CacheId, reference: Reference): Promise<CacheId> {
  const { driver, layerDb, staging: area, layout } = context;
  const { root, record, below } = reference;
  await using staging = area.create("refer");
  const recordDir = staging.path("record");
  copyTarSplit(root.reading.layerDb.tarSplitPath(record.chainId), recordDir, openRegular);
  const outside = outsideLayersOf(root.reading.driver).asOutside(record.cacheId);
  await outsideLayersOf(driver).createStandIn(cacheId, below, outside);
  layerDb.stageRecord(recordDir, { ...record, cacheId, created: new Date().toISOString(), outside: root.path });
  await syncUnlessVolatile(context, { fileSystems: [staging.dir], home: driver.spec });
  return await underLock(context, async (lock) => {
    if (record.parent !== undefined) layerDb.read(record.parent);
    layerDb.publish(lock, { chainId: record.chainId, stagedDir: recordDir });
    await syncUnlessVolatile(context, { dirs: [layout.layersDir, layout.layerDbDir] });
    return cacheId;
  });
}

/**
 * Refuses a root whose layers this store's driver cannot show.
 * @throws {StrataError} `NOT_SUPPORTED`
 */
export function requireSameDriver({ driver }: StoreContext, { path, reading }: ReadOnlyRoot): void {
  const [own, other] = [driver.spec.name, reading.driver.spec.name];
  if (own === other || (own === "overlay2" && other === "overlay")) return;
  throw new StrataError(
    "NOT_SUPPORTED",
    `Cannot use layers of "${path}" in place: they are of driver ${other}, and this store has ${own}; copy them with ` +
      '"strata adopt"',
    { feature: `layers of driver ${other}` },
  );
}
