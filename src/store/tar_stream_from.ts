// SPDX-License-Identifier: Apache-2.0
/**
 * What a stack of layers changes of one of the layers in it, as a tar. moby, layer/ro_layer.go, `TarStreamFrom`.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { packStream } from "../worker/pack_stream.ts";
import { recordsOf } from "./chains.ts";
import type { ReadingContext } from "./reading.ts";

/** With what a layer is compared. */
export interface TarStreamFromRequest {
  /** A layer below; absent: an empty tree. */
  readonly ancestor: ChainId | undefined;
  readonly signal?: AbortSignal;
}

/**
 * The difference as a tar: sorted, the same bytes for the same trees.
 * @throws {StrataError} `NOT_A_PARENT` when the layer does not lie on the ancestor; `NOT_FOUND`, `CORRUPT`
 */
export function tarStreamFrom(
  context: ReadingContext,
  { chainId, cacheId }: LayerRecord,
  { ancestor, ...options }: TarStreamFromRequest,
): ReadableStream<Uint8Array> {
  const from = ancestor === undefined ? undefined : ancestorIn(context, chainId, ancestor);
  return packStream(context.pool, { driver: context.driver.spec, id: cacheId, from }, options);
}

function ancestorIn(context: ReadingContext, top: ChainId, ancestor: ChainId): CacheId {
  const [, ...below] = recordsOf(context, top);
  const record = below.find(({ chainId }) => chainId === ancestor);
  if (record !== undefined) return record.cacheId;
  throw new StrataError(
    "NOT_A_PARENT",
    `Cannot give what layer ${top} changes of ${ancestor}: it does not lie on that layer; name one below it`,
    { ref: ancestor, of: top },
  );
}
