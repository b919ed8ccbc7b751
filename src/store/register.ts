// SPDX-License-Identifier: Apache-2.0
/**
 * Registering a layer.
 *
 * @module
 */
import type { LayerDescriptor } from "../core/descriptor.ts";
import type { ChainId, DiffId, Digest } from "../core/digest.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { BlobSource } from "../worker/ingest.ts";
import type { StoreContext } from "./context.ts";
import type { Layer } from "./layer.ts";
import type { ExistingLayers } from "./replacement.ts";
import { takeIn, type TakeInProgress } from "./take_in.ts";
import { SoleStream } from "./twin_streams.ts";

/** How a layer is registered. */
export interface RegisterOptions {
  /** The stack that the layer sits on. Absent: it is a base layer. */
  readonly parent?: ChainId;
  /** Refuse the layer unless its uncompressed tar has this digest. */
  readonly expectedDiffId?: DiffId;
  /** Refuse the layer unless the bytes as given have this digest, and this size in bytes. */
  readonly expectedBlob?: { readonly digest: Digest; readonly sizeBytes?: number };
  /**
   * What becomes of a layer that is here already: it is read and compared, and replaced when it is damaged (`verify`, the
   * default); or its record is trusted, and with `expectedDiffId` the stream is cancelled unread (`trust`); or so it is unless
   * the layer's files lie in another root, and then it gets files of its own (`copy`).
   */
  readonly existing?: ExistingLayers;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
  /** Called with what has happened since the last call; it must not throw. */
  readonly onProgress?: (event: RegisterProgress) => void;
  /**
   * Called once with what the bytes as given are, also when the layer is here already and came from others; not when the stream
   * is not read. It must not throw.
   */
  readonly onBlob?: (blob: BlobInfo) => void;
}

/**
 * What happens to a layer that is registered: `read` again and again, then `unpacked`, then `sealed` unless the layer is
 * here already, then `committed`.
 */
export type RegisterProgress = TakeInProgress;

/** How a layer is registered that a registry's manifest describes. */
export interface RegisterWithDescriptorOptions extends RegisterOptions {
  /**
   * Kept with the layer, unless it is here already. It is not compared with the bytes: that is `expectedBlob`'s part. Nor
   * are its annotations that name a table of contents: `blob.tocDigest` is what the bytes have.
   */
  readonly descriptor: LayerDescriptor;
}

/** Registers a layer from its tar, compressed or not. The stream is read to its end, or cancelled. */
export async function register(
  context: StoreContext,
  stream: ReadableStream<Uint8Array>,
  options: RegisterOptions & Partial<RegisterWithDescriptorOptions>,
): Promise<Layer> {
  const { parent, signal, expectedDiffId, expectedBlob } = options;
  const source = { kind: "stream", stream } as const;
  if (expectedDiffId !== undefined || expectedBlob !== undefined) return await takeInOne(context, source, options);
  await using sole = await SoleStream.of(context, { stream, parent, signal });
  return await takeInOne(context, sole.source, {
    ...options,
    ...(sole.diffId === undefined ? {} : { expectedDiffId: sole.diffId }),
    onProgress(event) {
      sole.touch();
      options.onProgress?.(event);
    },
  });
}

async function takeInOne(
  context: StoreContext,
  source: BlobSource,
  options: RegisterOptions & Partial<RegisterWithDescriptorOptions>,
): Promise<Layer> {
  const { parent, existing, signal, onProgress, onBlob, expectedDiffId, expectedBlob, descriptor } = options;
  const request = {
    layers: [{
      source,
      ...(expectedDiffId === undefined ? {} : { expectedDiffId }),
      ...(expectedBlob === undefined ? {} : { expectedBlob }),
      ...(descriptor === undefined ? {} : { descriptor }),
    }],
    parent,
    ...(existing === undefined ? {} : { existing }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (_: number, event: RegisterProgress) => onProgress(event) }),
    ...(onBlob === undefined ? {} : { onBlob: (_: number, blob: BlobInfo) => onBlob(blob) }),
  };
  return await takeIn(context, request, ([record]) => {
    if (record === undefined) throw new Error("Cannot register a layer: taking it in gave no record");
    return context.handles.retain(record);
  });
}
