// SPDX-License-Identifier: Apache-2.0
/**
 * The one way in: layers from blobs, unpacked side by side, committed in order (D10).
 *
 *   once         claim what is known to be made
 *   each layer   blob ─▶ decode ─▶ unpack       in threads, as many at once as there are processors
 *   in order     compare digests ─▶ settle and seal on the layer below
 *   once         sync ─▶ write lock: publish data, then records ●
 *
 * All or nothing: when one layer fails, none is published and the staging directory is removed. Until the commit
 * everything lies in that one directory; a process that is killed leaves it, and nothing else but files of claims. Only
 * drivers that make layers in their homes have them there from when they are sealed: see `sealed_in_home.ts`.
 *
 * @module
 */
import pLimit from "p-limit";
import type { ChainId, DiffId } from "../core/digest.ts";
import { layersDirOf } from "../driver/parts/layer_directory.ts";
import { processorCount } from "../host/process.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Staging } from "../metadata/staging.ts";
import { ingest, readThrough } from "../worker/ingest.ts";
import { locationsOf, requireRoom } from "./chains.ts";
import { LayerClaims } from "./claim_layers.ts";
import { namingRoot, type StoreContext } from "./context.ts";
import { HeldLayers } from "./held_layers.ts";
import { blobInfoOf, type IncomingLayer, requireExpected } from "./incoming_layer.ts";
import { publishLayers } from "./publish.ts";
import type { ExistingLayers } from "./replacement.ts";
import { ensureHere } from "./roots/refer.ts";
import { type ArrivedLayer, sealInOrder } from "./seal_layers.ts";
import { SealedInHome } from "./sealed_in_home.ts";

export type { IncomingLayer } from "./incoming_layer.ts";

/** What happens to a layer on its way in, in this order; the first kind comes many times. */
export type TakeInProgress =
  /** Bytes of the blob were read since the last event. */
  | { readonly kind: "read"; readonly bytes: number }
  /** The whole blob was read, and lies unpacked beside the store. */
  | { readonly kind: "unpacked"; readonly diffId: DiffId; readonly archiveBytes: number }
  /** It has its driver's form, on the layers below. Left out for a layer that is here already. */
  | { readonly kind: "sealed"; readonly chainId: ChainId; readonly sizeBytes: number }
  /** It is in the store, and so are those below it; from here on nothing is undone. */
  | { readonly kind: "committed"; readonly chainId: ChainId };

/** Layers to be taken in, bottom first. */
export interface TakeInRequest {
  readonly layers: readonly IncomingLayer[];
  /** The stack they come to lie on. */
  readonly parent: ChainId | undefined;
  /**
   * What becomes of a layer that is here already: it is read and compared, and replaced when it is damaged (`verify`, the
   * default); or its record is trusted, and its blob not read where the expected DiffID tells what it holds (`trust`, and
   * `copy` unless its files lie in another root: then it is replaced by a layer with files of its own).
   */
  readonly existing?: ExistingLayers;
  readonly signal?: AbortSignal;
  /** Called with the number of a layer, and what has happened to it. It must not throw. */
  readonly onProgress?: (layer: number, event: TakeInProgress) => void;
  /** Called with the number of a layer, and what its blob is when all of it was read. It must not throw. */
  readonly onBlob?: (layer: number, blob: BlobInfo) => void;
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
  using held = new HeldLayers(context);
  try {
    context.dockerd.requireAbsent();
    if (request.parent !== undefined) await ensureHere(context, request.parent, held);
    const records = await namingRoot(context, () => takeInAll(context, request, held));
    await cancelUnread(request.layers, "the layer is here already");
    return await use(records);
  } catch (error) {
    await cancelUnread(request.layers, error);
    throw error;
  }
}

async function takeInAll(context: StoreContext, request: TakeInRequest, held: HeldLayers): Promise<LayerRecord[]> {
  const { layers, parent, existing = "verify", signal } = request;
  const below = locationsOf(context, parent);
  requireRoom(below.length, layers.length);
  using claims = await LayerClaims.take(context, { layers, parent, existing, signal, held });
  await using staging = context.staging.create("register");
  await using inHome = new SealedInHome(context);
  const stop = new AbortController();
  const arriving = startArrivals(context, request, {
    known: claims.known,
    staging,
    signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
  });
  const onSealed = (index: number, { chainId, sizeBytes }: LayerRecord): void =>
    request.onProgress?.(index, { kind: "sealed", chainId, sizeBytes });
  try {
    const sealing = { layers, arriving, parent, below, existing, held, inHome, signal, onSealed };
    const staged = await sealInOrder(context, sealing);
    const records = await publishLayers(context, { staged, staging, below, held, signal });
    for (const [index, { chainId }] of records.entries()) request.onProgress?.(index, { kind: "committed", chainId });
    return records;
  } catch (error) {
    stop.abort(error);
    throw error;
  } finally {
    // A stage that still writes would find its directory gone.
    await Promise.allSettled(arriving);
  }
}

/** Who takes a stream owns it: one that nobody came to read is cancelled as well. */
async function cancelUnread(layers: readonly IncomingLayer[], reason: unknown): Promise<void> {
  for (const { source } of layers) {
    if (source.kind === "stream" && !source.stream.locked) await source.stream.cancel(reason).catch(() => {});
  }
}

interface Arrivals {
  /** By their number: layers that are here already. */
  readonly known: ReadonlyMap<number, LayerRecord>;
  readonly staging: Staging;
  readonly signal: AbortSignal;
}

function startArrivals(
  context: StoreContext,
  request: TakeInRequest,
  { known, staging, signal }: Arrivals,
): Promise<ArrivedLayer>[] {
  const atOnce = pLimit(processorCount());
  return request.layers.map((_, index) => {
    const record = known.get(index);
    const arriving = atOnce(() =>
      record === undefined
        ? unpackOne(context, request, { index, dir: `${staging.dir}/${index}`, signal })
        : readKnown(context, request, { index, record, signal })
    );
    // Awaited in order later; an early failure of a later layer must not count as unhandled meanwhile.
    arriving.catch(() => {});
    return arriving;
  });
}

async function unpackOne(
  context: StoreContext,
  request: TakeInRequest,
  { index, dir, signal }: { readonly index: number; readonly dir: string; readonly signal: AbortSignal },
): Promise<ArrivedLayer> {
  const { source } = request.layers[index]!;
  const { limits } = context.settings;
  const { ownership } = context.driver.capabilities;
  const { idMappings } = context.driver.spec;
  const onProgress = (bytes: number): void => request.onProgress?.(index, { kind: "read", bytes });
  const destination = layersDirOf(context.driver);
  const kept = { destination, ownership, idMappings };
  const ingested = await ingest(context.pool, { source, dir, ...kept, limits, signal, onProgress });
  const { diffId, archiveBytes, blob } = ingested;
  request.onBlob?.(index, blobInfoOf(blob));
  request.onProgress?.(index, { kind: "unpacked", diffId, archiveBytes });
  return { kind: "unpacked", ingested, dir };
}

/** The layer need not be made; yet a stream is held to what was expected of it, unless it is not looked at at all. */
async function readKnown(
  context: StoreContext,
  { layers, existing, onProgress: report, onBlob }: TakeInRequest,
  { index, record, signal }: { readonly index: number; readonly record: LayerRecord; readonly signal: AbortSignal },
): Promise<ArrivedLayer> {
  const incoming = layers[index]!;
  if (existing === undefined || existing === "verify") {
    const onProgress = (bytes: number): void => report?.(index, { kind: "read", bytes });
    const { source } = incoming;
    const { limits } = context.settings;
    const read = await readThrough(context.pool, { source, limits, signal, onProgress });
    requireExpected(incoming, read);
    onBlob?.(index, blobInfoOf(read.blob));
  }
  return { kind: "known", record };
}
