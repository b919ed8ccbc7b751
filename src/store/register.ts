// SPDX-License-Identifier: Apache-2.0
/**
 * Registering a layer.
 *
 * @module
 */
import type { ChainId, DiffId, Digest } from "../core/digest.ts";
import type { StoreContext } from "./context.ts";
import type { Layer } from "./layer.ts";
import { takeIn } from "./take_in.ts";

/** How a layer is registered. */
export interface RegisterOptions {
  /** The stack that the layer sits on. Absent: it is a base layer. */
  readonly parent?: ChainId;
  /** Refuse the layer unless its uncompressed tar has this digest. */
  readonly expectedDiffId?: DiffId;
  /** Refuse the layer unless the bytes as given have this digest, and this size in bytes. */
  readonly expectedBlob?: { readonly digest: Digest; readonly sizeBytes?: number };
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
  /** Called with the bytes of the stream that were read since the last call. */
  readonly onProgress?: (bytes: number) => void;
}

/** Registers a layer from its tar, compressed or not. The stream is read to its end, or cancelled. */
export async function register(
  context: StoreContext,
  stream: ReadableStream<Uint8Array>,
  options: RegisterOptions,
): Promise<Layer> {
  const { parent, signal, onProgress, ...expected } = options;
  const request = {
    layers: [{ source: { kind: "stream", stream }, ...expected } as const],
    parent,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (_layer: number, bytes: number) => onProgress(bytes) }),
  };
  return await takeIn(context, request, ([record]) => {
    if (record === undefined) throw new Error("Cannot register a layer: taking it in gave no record");
    return context.handles.retain(record);
  });
}
