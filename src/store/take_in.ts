// SPDX-License-Identifier: Apache-2.0
/**
 * The one way in: layers from blobs, unpacked side by side, committed in order (D10).
 *
 *   each layer   blob ─▶ decode ─▶ unpack       in threads, as many at once as there are processors
 *   in order     compare digests ─▶ settle and seal on the layer below
 *   once         sync ─▶ write lock: publish data, then records ●
 *
 * All or nothing: when one layer fails, none is published and the staging directory is removed. Until the commit
 * everything lies in that one directory; a process that is killed leaves it, and nothing else.
 *
 * @module
 */
import pLimit from "p-limit";
import { chainOn } from "../core/chain_id.ts";
import type { ChainId, DiffId, Digest } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { randomCacheId } from "../core/ids.ts";
import type { LayerLocation, SealedLayer } from "../driver/driver.ts";
import { processorCount } from "../host/process.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Staging } from "../metadata/staging.ts";
import { type BlobSource, ingest, type IngestedLayer } from "../worker/ingest.ts";
import { StagedLayer } from "../worker/staged_layer.ts";
import { locationsOf, requireRoom } from "./chains.ts";
import { namingRoot, type StoreContext } from "./context.ts";
import { HeldLayers } from "./held_layers.ts";
import { publishLayers } from "./publish.ts";

/** A layer to be taken in. */
export interface IncomingLayer {
  readonly source: BlobSource;
  readonly expectedDiffId?: DiffId;
  readonly expectedBlob?: { readonly digest: Digest; readonly sizeBytes?: number };
}

/** Layers to be taken in, bottom first. */
export interface TakeInRequest {
  readonly layers: readonly IncomingLayer[];
  /** The stack they come to lie on. */
  readonly parent: ChainId | undefined;
  readonly signal?: AbortSignal;
  /** Called as blobs are read: which layer, and how many bytes since the last call. */
  readonly onProgress?: (layer: number, bytes: number) => void;
}

/** A layer that is unpacked, sealed and staged, or that turned out to be here already. */
export interface StagedChainLayer {
  readonly record: LayerRecord;
  readonly recordDir: string;
  /** Absent: the layer is here already. */
  readonly sealed?: SealedLayer;
}

/**
 * Takes layers in, and gives their records, bottom first, to `use`; until that has returned, nobody deletes them. A layer
 * that is here already is not made twice.
 * @throws {StrataError} `DIGEST_MISMATCH`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `MAX_DEPTH`, `NOT_FOUND` (the parent),
 *   `NO_SPACE`, `LOCKED`, `ABORTED`
 */
export async function takeIn<T>(
  context: StoreContext,
  request: TakeInRequest,
  use: (records: LayerRecord[]) => T | Promise<T>,
): Promise<T> {
  using held = new HeldLayers(context.holds);
  try {
    context.dockerd.requireAbsent();
    if (request.parent !== undefined) held.add(request.parent);
    return await use(await namingRoot(context, () => takeInAll(context, request, held)));
  } catch (error) {
    await cancelUnread(request.layers, error);
    throw error;
  }
}

async function takeInAll(context: StoreContext, request: TakeInRequest, held: HeldLayers): Promise<LayerRecord[]> {
  const below = locationsOf(context, request.parent);
  requireRoom(below.length, request.layers.length);
  await using staging = context.staging.create("register");
  const stop = new AbortController();
  const signal = request.signal === undefined ? stop.signal : AbortSignal.any([request.signal, stop.signal]);
  const arriving = startIngests(context, { ...request, signal }, staging);
  try {
    const staged = await sealInOrder(context, { arriving, request, below, staging, held });
    return await publishLayers(context, { staged, staging, below, held, signal: request.signal });
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    // A stage that still writes would find its directory gone.
    await Promise.allSettled(arriving);
  }
}

/** Who takes a stream owns it: one whose turn never came is cancelled as well. */
async function cancelUnread(layers: readonly IncomingLayer[], reason: unknown): Promise<void> {
  for (const { source } of layers) {
    if (source.kind === "stream" && !source.stream.locked) await source.stream.cancel(reason).catch(() => {});
  }
}

function startIngests(context: StoreContext, request: TakeInRequest, staging: Staging): Promise<IngestedLayer>[] {
  const atOnce = pLimit(processorCount());
  const { limits } = context.settings;
  const { ownership } = context.driver.capabilities;
  return request.layers.map(({ source }, index) => {
    const arriving = atOnce(() =>
      ingest(context.pool, {
        source,
        dir: layerDirIn(staging, index),
        ownership,
        limits,
        ...(request.signal === undefined ? {} : { signal: request.signal }),
        onProgress: (bytes) => request.onProgress?.(index, bytes),
      })
    );
    // Awaited in order below; an early failure of a later layer must not count as unhandled meanwhile.
    arriving.catch(() => {});
    return arriving;
  });
}

interface SealRun {
  readonly arriving: readonly Promise<IngestedLayer>[];
  readonly request: TakeInRequest;
  readonly below: readonly LayerLocation[];
  readonly staging: Staging;
  readonly held: HeldLayers;
}

async function sealInOrder(context: StoreContext, run: SealRun): Promise<StagedChainLayer[]> {
  const staged: StagedChainLayer[] = [];
  let parent = run.request.parent;
  let stack = run.below;
  for (const [index, incoming] of run.request.layers.entries()) {
    const ingested = await firstFailureWins(run.arriving, index);
    requireExpected(incoming, ingested);
    const layer = await sealOne(context, {
      ingested,
      parent,
      stack,
      dir: layerDirIn(run.staging, index),
      held: run.held,
    });
    staged.push(layer);
    parent = layer.record.chainId;
    stack = [layer.sealed ?? context.driver.locate(layer.record.cacheId), ...stack];
  }
  return staged;
}

/** The layer that is next in order, or the failure of any: there is no use in waiting for layers that will be dropped. */
function firstFailureWins(arriving: readonly Promise<IngestedLayer>[], index: number): Promise<IngestedLayer> {
  const failure = Promise.all(arriving).then<never>(() => new Promise(() => {}));
  return Promise.race([arriving[index]!, failure]);
}

interface SealOne {
  readonly ingested: IngestedLayer;
  readonly parent: ChainId | undefined;
  readonly stack: readonly LayerLocation[];
  readonly dir: string;
  readonly held: HeldLayers;
}

async function sealOne(context: StoreContext, request: SealOne): Promise<StagedChainLayer> {
  const { ingested, parent, stack, dir, held } = request;
  const { diffId, changeset } = ingested;
  const chainId = chainOn(parent, diffId);
  const known = context.layerDb.findSound(chainId);
  if (known !== undefined) {
    held.add(chainId);
    new StagedLayer(dir).remove();
    return { record: known, recordDir: "" };
  }
  const cacheId = randomCacheId();
  const driver = context.driver.spec;
  const sealed = await context.pool.run("seal", { driver, dir, cacheId, diffId, changeset, parents: stack });
  const record: LayerRecord = {
    chainId,
    diffId,
    ...(parent === undefined ? {} : { parent }),
    cacheId,
    sizeBytes: sealed.sizeBytes,
    created: new Date().toISOString(),
    blob: { digest: ingested.blob.digest, size: ingested.blob.sizeBytes, compression: ingested.blob.compression },
    entryCount: changeset.entryCount,
    droppedAttributes: changeset.droppedCount,
  };
  const { recordDir } = new StagedLayer(dir);
  context.layerDb.stageRecord(recordDir, record);
  return { record, recordDir, sealed };
}

function requireExpected(
  { expectedBlob, expectedDiffId }: IncomingLayer,
  { blob, diffId, archiveBytes }: IngestedLayer,
) {
  const { sizeBytes } = expectedBlob ?? {};
  if (expectedBlob !== undefined && expectedBlob.digest !== blob.digest) {
    throw mismatch("blob", { expected: expectedBlob.digest, actual: blob.digest, sizeBytes: blob.sizeBytes });
  }
  if (sizeBytes !== undefined && sizeBytes !== blob.sizeBytes) {
    const expected = `${sizeBytes} bytes`;
    throw mismatch("blob", { expected, actual: `${blob.sizeBytes} bytes`, sizeBytes: blob.sizeBytes });
  }
  if (expectedDiffId !== undefined && expectedDiffId !== diffId) {
    throw mismatch("uncompressed tar", { expected: expectedDiffId, actual: diffId, sizeBytes: archiveBytes });
  }
}

function mismatch(what: string, detail: { expected: string; actual: string; sizeBytes: number }): StrataError {
  return new StrataError(
    "DIGEST_MISMATCH",
    `Cannot register layer: the ${what} is ${detail.actual} after ${detail.sizeBytes} bytes, expected ${detail.expected}; ` +
      "fetch it again",
    detail,
  );
}

function layerDirIn(staging: Staging, index: number): string {
  return `${staging.dir}/${index}`;
}
