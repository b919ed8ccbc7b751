// SPDX-License-Identifier: Apache-2.0
/**
 * Read-only layers, as a handle or a mere view. A handle keeps its layer alive until it is released or its store is
 * closed; a view does not, and cannot be released. Docker's `layer.Layer` (moby, layer/layer.go, ro_layer.go).
 *
 * @module
 */
import type { ChainId, DiffId } from "../core/digest.ts";
import type { StrataError } from "../core/errors.ts";
import type { LayerDescriptor } from "../core/descriptor.ts";
import type { DroppedAttribute } from "../core/dropped_attribute.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { chainSizeBytes } from "./chains.ts";
import type { StoreContext } from "./context.ts";
import { exportLayer } from "./export.ts";
import { tarStreamFrom } from "./tar_stream_from.ts";

/** How a tar is given. */
export interface TarStreamOptions {
  /** When it fires, the stream fails with `ABORTED`. */
  readonly signal?: AbortSignal;
}

/** What can be asked of a read-only layer, whether or not it is kept by that. */
export interface LayerView {
  /** Identity of the stack whose top this layer is. */
  readonly chainId: ChainId;
  /** Digest of this layer's uncompressed tar. */
  readonly diffId: DiffId;
  /** The stack below; `undefined` for a base layer. */
  readonly parentChainId: ChainId | undefined;
  /** Bytes of this layer alone, as its driver counts them. */
  readonly diffSizeBytes: number;
  /** The descriptor it was registered with, if any. */
  readonly descriptor: LayerDescriptor | undefined;

  /**
   * A view of the layer below; `undefined` for a base layer.
   * @throws {StrataError} `CORRUPT` when its record is damaged, `NOT_FOUND` when it is gone
   */
  parent(): LayerView | undefined;
  /** Bytes of this layer and all below it. */
  sizeBytes(): number;
  /**
   * What the driver tells of the layer, such as `UpperDir`.
   * @throws {StrataError} `NOT_FOUND` when the driver has no such layer
   */
  metadata(): Readonly<Record<string, string>>;
  /**
   * The layer's tar, byte for byte what was registered. The stream fails, rather than end, when that cannot be.
   * @throws {StrataError} `NOT_FOUND`; on the stream, `CORRUPT`, `ABORTED`
   */
  tarStream(options?: TarStreamOptions): ReadableStream<Uint8Array>;
  /**
   * What this layer, with those below it, changes of one of them, as a layer's tar; without an ancestor, the whole stack
   * in one. The same tree, but not the bytes of any tar that was registered.
   * @throws {StrataError} `NOT_A_PARENT` when the layer does not lie on that one, which no layer does on itself; `NOT_FOUND`
   */
  tarStreamFrom(ancestor?: ChainId, options?: TarStreamOptions): ReadableStream<Uint8Array>;
}

/** A read-only layer on the layers below it. Each call that gives one gives a new handle. */
export class Layer implements LayerView {
  readonly #context: StoreContext;
  readonly #record: LayerRecord;

  /** @ignore */
  constructor(context: StoreContext, record: LayerRecord) {
    this.#context = context;
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
  get parentChainId(): ChainId | undefined {
    return this.#record.parent;
  }

  /** Bytes of this layer alone, as its driver counts them. */
  get diffSizeBytes(): number {
    return this.#record.sizeBytes;
  }

  /** The descriptor it was registered with, if any. */
  get descriptor(): LayerDescriptor | undefined {
    return this.#record.descriptor;
  }

  /** When it was registered here, ISO 8601; unknown for layers that Docker registered. */
  get created(): string | undefined {
    return this.#record.created;
  }

  /** The blob it came from, where that is known. */
  get blob(): BlobInfo | undefined {
    return this.#record.blob;
  }

  /** Bytes of this layer's uncompressed tar; unknown for layers that Docker registered. */
  get archiveBytes(): number | undefined {
    return this.#record.archiveBytes;
  }

  /**
   * Users to whom the headers of its tar give its members, in ascending order: all of them, or `undefined` where they are
   * not known or too many. On disk there may be others, by id maps or for lack of rights.
   */
  get uids(): readonly number[] | undefined {
    return this.#record.uids;
  }

  /** Groups to whom they are given, likewise. */
  get gids(): readonly number[] | undefined {
    return this.#record.gids;
  }

  /**
   * How many owners, modes, devices and attributes of its archive could not be set on disk; unknown for layers that Docker
   * registered. Exports hold them all the same.
   */
  get droppedAttributes(): number | undefined {
    return this.#record.droppedAttributes;
  }

  /** The first of {@link Layer.droppedAttributes}, at most a hundred; empty where they were only counted. */
  get dropped(): readonly DroppedAttribute[] {
    return this.#record.dropped ?? [];
  }

  /**
   * A view of the layer below; `undefined` for a base layer.
   * @throws {StrataError} `CORRUPT` when its record is damaged, `NOT_FOUND` when it is gone
   */
  parent(): LayerView | undefined {
    return viewOf(this.#context, this.#record.parent);
  }

  /** Bytes of this layer and all below it. */
  sizeBytes(): number {
    return chainSizeBytes(this.#context, this.#record.chainId);
  }

  /**
   * What the driver tells of the layer, such as `UpperDir`.
   * @throws {StrataError} `NOT_FOUND` when the driver has no such layer
   */
  metadata(): Readonly<Record<string, string>> {
    return this.#context.driver.metadata(this.#record.cacheId);
  }

  /**
   * The layer's tar, byte for byte what was registered. The stream fails, rather than end, when that cannot be.
   * @throws {StrataError} `NOT_FOUND`; on the stream, `CORRUPT`, `ABORTED`
   */
  tarStream(options: TarStreamOptions = {}): ReadableStream<Uint8Array> {
    return exportLayer(this.#context, this.#record.chainId, options);
  }

  /**
   * What this layer, with those below it, changes of one of them, as a layer's tar; without an ancestor, the whole stack
   * in one. The same tree, but not the bytes of any tar that was registered.
   * @throws {StrataError} `NOT_A_PARENT` when the layer does not lie on that one, which no layer does on itself; `NOT_FOUND`
   */
  tarStreamFrom(ancestor?: ChainId, options: TarStreamOptions = {}): ReadableStream<Uint8Array> {
    return tarStreamFrom(this.#context, this.#record, { ...options, ancestor });
  }
}

/**
 * A view of a layer; `undefined` for no layer.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
 */
export function viewOf(context: StoreContext, chainId: ChainId | undefined): LayerView | undefined {
  return chainId === undefined ? undefined : new Layer(context, context.layerDb.read(chainId));
}

/** Views of all layers that can be used. */
export function allViews(context: StoreContext): Map<ChainId, LayerView> {
  return new Map(Array.from(context.layerDb.list().layers, ([id, record]) => [id, new Layer(context, record)]));
}

/** A layer that was deleted since nothing needed it any more. */
export interface DeletedLayer {
  /** The stack whose top it was. */
  readonly chainId: ChainId;
  /** Digest of its uncompressed tar. */
  readonly diffId: DiffId;
  /** Bytes of the layer and of all below it. */
  readonly sizeBytes: number;
  /** Bytes of the layer alone. */
  readonly diffSizeBytes: number;
  /** Why some of its data is still there. Absent: all is gone. `gc` removes the rest. */
  readonly remains?: StrataError;
}
