// SPDX-License-Identifier: Apache-2.0
/**
 * Registering a layer whose tree the driver has already, made by another: BuildKit, or an older layout. moby,
 * layer/migration.go, `RegisterByGraphID`.
 *
 *   the driver's directory ─┐
 *   a tar-split file ───────┴▶ rebuild, compare the digest ─▶ sync ─▶ write lock: record ●
 *
 * Docker believes what it is told. Here the archive is rebuilt once before the layer is accepted, so that it can be given
 * back (I6), and the directory must belong to nobody else, since it goes with the first layer that it belongs to.
 *
 * @module
 */
import { chainOn } from "../core/chain_id.ts";
import type { ChainId, DiffId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import { openForRead } from "../host/files.ts";
import { directoryClaim } from "../metadata/claims.ts";
import { type LayerRecord, TAR_SPLIT_FILE } from "../metadata/layer_record.ts";
import { locationsOf, requireRoom } from "./chains.ts";
import { namingRoot, type StoreContext, syncUnlessVolatile, underLock } from "./context.ts";
import { parseGraphId, requireDirectory } from "./graph_id.ts";
import { copyTarSplit } from "./copy_tar_split.ts";
import { HeldLayers } from "./held_layers.ts";
import type { Layer } from "./layer.ts";

/** What is known of a layer that the driver has already. */
export interface RegisterByGraphIdOptions {
  /** The stack that the layer sits on. Absent: it is a base layer. */
  readonly parent?: ChainId;
  /** Digest of the layer's uncompressed tar. */
  readonly diffId: DiffId;
  /** Path of the gzipped tar-split from which that tar is rebuilt; it is copied as it is. */
  readonly tarSplitFile: string;
  /** Bytes of the layer. */
  readonly sizeBytes: number;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/**
 * Registers a directory of the driver as a layer. One that is here already is not made twice; the directory then stays
 * whoever's it was.
 * @throws {StrataError} `INVALID_ARGUMENT` (the id, or a directory that lies on other layers), `NOT_FOUND` (the parent, the
 *   directory), `MAX_DEPTH`, `DIGEST_MISMATCH`, `CORRUPT` when tar-split and tree do not fit, `CONFLICT` when the
 *   directory is another layer's, `NO_SPACE`, `LOCKED`, `ABORTED`
 */
export async function registerByGraphId(
  context: StoreContext,
  graphId: string,
  options: RegisterByGraphIdOptions,
): Promise<Layer> {
  context.dockerd.requireAbsent();
  const cacheId = parseGraphId(graphId);
  const { parent, diffId } = options;
  using held = new HeldLayers(context);
  if (parent !== undefined) held.read(parent);
  const below = locationsOf(context, parent);
  requireRoom(below.length, 1);
  const known = held.findSound(chainOn(parent, diffId));
  if (known !== undefined) return context.handles.retain(known);
  // Until the record is there, the directory is garbage for gc.
  using _claim = await context.claims.take(directoryClaim(cacheId), options);
  requireStack(context, cacheId, below);
  return await namingRoot(context, () => adopt(context, { cacheId, below, options }));
}

interface Adoption {
  readonly cacheId: CacheId;
  /** The stack below, top first. */
  readonly below: readonly LayerLocation[];
  readonly options: RegisterByGraphIdOptions;
}

async function adopt(context: StoreContext, adoption: Adoption): Promise<Layer> {
  const { driver, layerDb } = context;
  const { cacheId, options } = adoption;
  await using staging = context.staging.create("register");
  const recordDir = staging.path("record");
  const tarSplitPath = `${recordDir}/${TAR_SPLIT_FILE}`;
  copyTarSplit(options.tarSplitFile, recordDir, openForRead);
  await proveExport(context, { ...adoption, tarSplitPath });
  const { signal } = options;
  const facts = await context.pool.run("survey", { tarSplitPath }, signal === undefined ? {} : { signal });
  const record = { ...recordOf(adoption), ...facts };
  layerDb.stageRecord(recordDir, record);
  await syncUnlessVolatile(context, { fileSystems: [staging.dir, driver.locate(cacheId).dir], home: driver.spec });
  const published = await underLock(context, async (lock) => {
    if (record.parent !== undefined) layerDb.read(record.parent);
    const other = layerDb.findSound(record.chainId);
    if (other !== undefined) return other;
    requireUnowned(context, cacheId);
    layerDb.publish(lock, { chainId: record.chainId, stagedDir: recordDir });
    await syncUnlessVolatile(context, { dirs: [context.layout.layersDir, context.layout.layerDbDir] });
    return record;
  }, signal);
  return context.handles.retain(published);
}

function recordOf({ cacheId, options: { parent, diffId, sizeBytes } }: Adoption): LayerRecord {
  return {
    chainId: chainOn(parent, diffId),
    diffId,
    ...(parent === undefined ? {} : { parent }),
    cacheId,
    sizeBytes,
    created: new Date().toISOString(),
  };
}

async function proveExport(context: StoreContext, proof: Adoption & { readonly tarSplitPath: string }): Promise<void> {
  const { driver, pool } = context;
  const { cacheId, below, options: { diffId, sizeBytes, signal }, tarSplitPath } = proof;
  const actual = await pool.run(
    "verify",
    { driver: driver.spec, tarSplitPath, stack: [driver.locate(cacheId), ...below] },
    signal === undefined ? {} : { signal },
  );
  if (actual === String(diffId)) return;
  throw new StrataError(
    "DIGEST_MISMATCH",
    `Cannot register directory ${cacheId} as layer ${diffId}: with its tar-split it gives ${actual}`,
    { expected: diffId, actual, sizeBytes },
  );
}

/** A driver that notes what a directory lies on would show another tree than the chain says. */
function requireStack(context: StoreContext, cacheId: CacheId, below: readonly LayerLocation[]): void {
  requireDirectory(context, cacheId);
  const noted = context.driver.parentsOf(cacheId).map((location) => location.cacheId);
  const expected = below.map((location) => location.cacheId);
  if (noted.length === 0 || noted.join() === expected.join()) return;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot register directory ${cacheId}: it lies on other layers than those of the parent; name that parent`,
    { argument: "parent" },
  );
}

function requireUnowned({ layerDb, mounts }: StoreContext, cacheId: CacheId): void {
  const { layers, broken } = layerDb.list();
  const writable = mounts.list();
  const owners = [
    ...[...layers.values(), ...broken].filter((layer) => layer.cacheId === cacheId).map(({ chainId }) => chainId),
    ...[...writable.mounts.values(), ...writable.broken]
      .filter(({ mountId, initId }) => mountId === cacheId || initId === cacheId)
      .map((mount) => "name" in mount ? mount.name : mount.subject),
  ];
  if (owners.length === 0) return;
  throw new StrataError(
    "CONFLICT",
    `Cannot register directory ${cacheId}: it belongs to ${owners.join(", ")}, and would go with that; copy it first`,
    { kind: "layer directory", name: cacheId },
  );
}
