// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that lie in a store outside, such as one that fetches files when they are read, and are used where they are.
 *
 * Such layers are stand-ins (`outside_layers.ts`); beyond that, the store outside is told which of its layers are used.
 *
 * The interfaces are those of containers/storage, drivers/driver.go, `AdditionalLayerStoreDriver` and `AdditionalLayer`.
 *
 * @module
 */
import type { Digest } from "../../core/digest.ts";
import type { CacheId } from "../../core/ids.ts";

/** A layer of a store outside. Dispose of it, or call {@link AdditionalLayer.release}, when it is not needed any more. */
export interface AdditionalLayer extends AsyncDisposable {
  /**
   * Makes a layer of the driver whose own files are those outside. Its use is told apart from this one: it lasts until the
   * layer is removed.
   * @throws {StrataError} as `OutsideLayers.createStandIn`
   */
  createAs(id: CacheId, parent: CacheId | undefined): Promise<void>;
  /** What the store outside tells of the layer: a JSON document, not parsed. Fails with `NOT_FOUND` when it is gone. */
  info(): ReadableStream<Uint8Array>;
  /** The layer's blob. */
  blob(): ReadableStream<Uint8Array>;
  /** Tells the store outside that the layer is not used any more. Only the first call does. */
  release(): Promise<void>;
}

/** A driver that can use layers of stores outside. */
export interface AdditionalLayerDriver {
  /**
   * Looks for a layer by the digest of its table of contents, and tells the store that has it that it is used.
   * @param ref the image that it was named by
   * @returns `undefined` when no store has it
   */
  lookupAdditionalLayer(tocDigest: Digest, ref: string): Promise<AdditionalLayer | undefined>;
  /** The layer outside that a layer of the driver was made of; `undefined` when it was not made so. */
  lookupAdditionalLayerById(id: CacheId): Promise<AdditionalLayer | undefined>;
}
