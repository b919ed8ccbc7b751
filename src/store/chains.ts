// SPDX-License-Identifier: Apache-2.0
/**
 * Walking a chain of layers, from its records to its directories.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { CHAIN_DEPTH_MAX } from "../core/limits.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { ReadingContext } from "./reading.ts";

/**
 * The records of a chain, top first.
 * @throws {StrataError} `NOT_FOUND` when the chain is not here; `CORRUPT` when a part of it is damaged
 */
export function recordsOf({ layerDb }: ReadingContext, top: ChainId): LayerRecord[] {
  const records: LayerRecord[] = [];
  // A chain cannot run in a circle: each ChainID is a digest over the one below.
  for (let next: ChainId | undefined = top; next !== undefined;) {
    const record: LayerRecord = layerDb.read(next);
    records.push(record);
    next = record.parent;
  }
  return records;
}

/** The directories of a chain, top first; none for the empty chain. */
export function locationsOf(context: ReadingContext, top: ChainId | undefined): LayerLocation[] {
  if (top === undefined) return [];
  return recordsOf(context, top).map((record) => context.driver.locate(record.cacheId));
}

/** Bytes of a chain, all its layers together; down to the damage, where one is damaged. */
export function chainSizeBytes(context: ReadingContext, top: ChainId): number {
  let sizeBytes = 0;
  for (let next: ChainId | undefined = top; next !== undefined;) {
    const record: LayerRecord | undefined = readableRecord(context, next);
    sizeBytes += record?.sizeBytes ?? 0;
    next = record?.parent;
  }
  return sizeBytes;
}

/** A layer's record; `undefined` when it is not here, or damaged. */
export function readableRecord({ layerDb }: ReadingContext, chainId: ChainId): LayerRecord | undefined {
  try {
    return layerDb.read(chainId);
  } catch (error) {
    if (hasCode(error, "NOT_FOUND") || hasCode(error, "CORRUPT")) return undefined;
    throw error;
  }
}

/**
 * Refuses to put more layers on a chain than a chain can have.
 * @throws {StrataError} `MAX_DEPTH`
 */
export function requireRoom(depthBelow: number, layers: number): void {
  const depth = depthBelow + layers;
  if (depth <= CHAIN_DEPTH_MAX) return;
  throw new StrataError(
    "MAX_DEPTH",
    `Cannot register the layer: the chain would have ${depth} layers, and ${CHAIN_DEPTH_MAX} is the most; merge some first`,
    { depth, depthMax: CHAIN_DEPTH_MAX },
  );
}
