// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are unpacked by themselves come to lie one on another: each is compared with what was expected, settled on
 * the layers below it and given its driver's form, in order.
 *
 * @module
 */
import { chainOn } from "../core/chain_id.ts";
import type { ChainId } from "../core/digest.ts";
import type { LayerLocation, SealedLayer } from "../driver/interfaces/layer_sealer.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { throwIfAborted } from "../stream/signal.ts";
import type { IngestedLayer } from "../worker/ingest.ts";
import { StagedLayer } from "../worker/staged_layer.ts";
import type { StoreContext } from "./context.ts";
import type { HeldLayers } from "./held_layers.ts";
import { blobInfoOf, type ExpectedLayer, requireExpected } from "./incoming_layer.ts";
import { type ExistingLayers, isIntact, LayerPlaces } from "./replacement.ts";
import type { SealedInHome } from "./sealed_in_home.ts";

/** A layer that has come in: its blob was read and unpacked, or it is here already. */
export type ArrivedLayer =
  | { readonly kind: "unpacked"; readonly ingested: IngestedLayer; readonly dir: string }
  | { readonly kind: "known"; readonly record: LayerRecord };

/** A layer that is unpacked, sealed and staged, or that is here already. */
export interface StagedChainLayer {
  readonly record: LayerRecord;
  /** Absent: the layer is here already. */
  readonly made?: MadeLayer;
}

/** What is new of a layer, in the staging directory. */
export interface MadeLayer {
  readonly recordDir: string;
  readonly sealed: SealedLayer;
  /** The layer that was found damaged, and that it is to replace. */
  readonly replaces: LayerRecord | undefined;
}

/** Layers to be sealed, bottom first. */
export interface SealRequest {
  readonly layers: readonly ExpectedLayer[];
  /** As they arrive, in whatever order. */
  readonly arriving: readonly Promise<ArrivedLayer>[];
  readonly parent: ChainId | undefined;
  /** The stack below, top first. */
  readonly below: readonly LayerLocation[];
  readonly existing: ExistingLayers;
  readonly held: HeldLayers;
  /** Claims what is sealed in the driver's home. */
  readonly inHome: SealedInHome;
  readonly signal: AbortSignal | undefined;
  readonly onSealed: (layer: number, record: LayerRecord) => void;
}

/**
 * Seals layers in order.
 * @throws {StrataError} `DIGEST_MISMATCH`, `INVALID_ARCHIVE`, `MAX_DEPTH`, `NO_SPACE`, `ABORTED`; what a layer failed of on
 *   its way in
 */
export async function sealInOrder(context: StoreContext, request: SealRequest): Promise<StagedChainLayer[]> {
  const places = new LayerPlaces(context);
  const staged: StagedChainLayer[] = [];
  let { parent, below: stack } = request;
  for (const [index, incoming] of request.layers.entries()) {
    const arrived = await firstFailureWins(request.arriving, index);
    throwIfAborted(request.signal);
    const layer = await sealOne(context, { ...request, incoming, arrived, parent, stack, places });
    staged.push(layer);
    if (layer.made !== undefined) request.onSealed(index, layer.record);
    parent = layer.record.chainId;
    stack = [layer.made?.sealed ?? context.driver.locate(layer.record.cacheId), ...stack];
  }
  return staged;
}

/** The layer that is next in order, or the failure of any: there is no use in waiting for layers that will be dropped. */
function firstFailureWins(arriving: readonly Promise<ArrivedLayer>[], index: number): Promise<ArrivedLayer> {
  const failure = Promise.all(arriving).then<never>(() => new Promise(() => {}));
  return Promise.race([arriving[index]!, failure]);
}

interface SealOne extends Pick<SealRequest, "existing" | "held" | "inHome" | "signal" | "parent"> {
  readonly incoming: ExpectedLayer;
  readonly arrived: ArrivedLayer;
  readonly stack: readonly LayerLocation[];
  readonly places: LayerPlaces;
}

async function sealOne(context: StoreContext, request: SealOne): Promise<StagedChainLayer> {
  const { incoming, arrived, parent, held } = request;
  if (arrived.kind === "known") return { record: arrived.record };
  requireExpected(incoming, arrived.ingested);
  const known = held.findSound(chainOn(parent, arrived.ingested.diffId));
  if (known !== undefined && await isIntact(context, known, request)) {
    new StagedLayer(arrived.dir).remove();
    return { record: known };
  }
  return await make(context, request, { ...arrived, replaces: known });
}

async function make(
  context: StoreContext,
  { incoming, parent, stack, places, inHome, signal }: SealOne,
  { ingested, dir, replaces }: Omit<Extract<ArrivedLayer, { kind: "unpacked" }>, "kind"> & Pick<MadeLayer, "replaces">,
): Promise<StagedChainLayer> {
  const { diffId, changeset, blob, archiveBytes, owners } = ingested;
  const chainId = chainOn(parent, diffId);
  const { cacheId, children } = places.of(chainId);
  const driver = context.driver.spec;
  const names = { cacheId, ...await inHome.claim(cacheId, { signal }) };
  const sealed = await context.pool.run("seal", {
    driver,
    dir,
    ...names,
    diffId,
    changeset,
    parents: stack,
    children,
  });
  const descriptor = incoming.descriptor ?? replaces?.descriptor;
  const record: LayerRecord = {
    chainId,
    diffId,
    ...(parent === undefined ? {} : { parent }),
    cacheId,
    sizeBytes: sealed.sizeBytes,
    ...(descriptor === undefined ? {} : { descriptor }),
    created: new Date().toISOString(),
    blob: blobInfoOf(blob),
    archiveBytes,
    entryCount: changeset.entryCount,
    ...owners,
    droppedAttributes: changeset.droppedCount,
    ...(changeset.dropped.length === 0 ? {} : { dropped: changeset.dropped }),
  };
  const { recordDir } = new StagedLayer(dir);
  context.layerDb.stageRecord(recordDir, record);
  return { record, made: { recordDir, sealed, replaces } };
}
