// SPDX-License-Identifier: Apache-2.0
/**
 * The layer that changes nothing: an archive of nothing but its end marker. moby, layer/empty.go.
 *
 * It is in no store, and none treats it specially: an archive of 1024 NULs that is registered makes a layer as any other.
 *
 * @module
 */
import { EMPTY_DIFF_ID } from "../core/chain_id.ts";
import { type ChainId, type DiffId, parseChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { LayerView, TarStreamOptions } from "./layer.ts";

/** Two blocks: the end marker of a tar. */
const EMPTY_TAR_BYTES = 1024;
const EMPTY_CHAIN_ID: ChainId = parseChainId(EMPTY_DIFF_ID);

/** The empty layer. Releasing it does nothing. */
export const EMPTY_LAYER: LayerView = Object.freeze({
  chainId: EMPTY_CHAIN_ID,
  diffId: EMPTY_DIFF_ID,
  parentChainId: undefined,
  diffSizeBytes: 0,
  descriptor: undefined,
  parent: () => undefined,
  sizeBytes: () => 0,
  metadata: () => ({}),
  tarStream: emptyTar,
  tarStreamFrom(ancestor?: ChainId): ReadableStream<Uint8Array> {
    if (ancestor === undefined) return emptyTar();
    throw new StrataError(
      "NOT_A_PARENT",
      `Cannot give what the empty layer changes of ${ancestor}: it lies on no layer; leave the ancestor out`,
      { ref: ancestor, of: EMPTY_CHAIN_ID },
    );
  },
});

/** True for the DiffID of the layer that changes nothing. */
export function isEmptyLayer(diffId: DiffId): boolean {
  return diffId === EMPTY_DIFF_ID;
}

function emptyTar(_options?: TarStreamOptions): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(EMPTY_TAR_BYTES));
      controller.close();
    },
  });
}
