// SPDX-License-Identifier: Apache-2.0
/**
 * Handles of read-only layers. A handle keeps its layer alive until it is released or its store is closed.
 *
 * @module
 */
import type { ChainId, DiffId } from "../core/digest.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";

/** A read-only layer on the layers below it. Each call that gives one gives a new handle. */
export class Layer {
  readonly #record: LayerRecord;

  /** @ignore */
  constructor(record: LayerRecord) {
    this.#record = record;
  }

  /** Identity of the stack whose top this layer is. */
  get chainId(): ChainId {
    return this.#record.chainId;
  }

  /** Digest of this layer's uncompressed tar. */
  get diffId(): DiffId {
    return this.#record.diffId;
  }

  /** The stack below; `undefined` for a base layer. */
  get parent(): ChainId | undefined {
    return this.#record.parent;
  }

  /** Bytes of this layer alone, as its driver counts them. */
  get diffSizeBytes(): number {
    return this.#record.sizeBytes;
  }

  /** When it was registered here, ISO 8601; unknown for layers that Docker registered. */
  get created(): string | undefined {
    return this.#record.created;
  }

  /** The blob it came from, where that is known. */
  get blob(): BlobInfo | undefined {
    return this.#record.blob;
  }
}

/** A layer that was deleted since nothing needed it any more. */
export interface DeletedLayer {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** Bytes of the layer and of all below it. */
  readonly sizeBytes: number;
  /** Bytes of the layer alone. */
  readonly diffSizeBytes: number;
}
