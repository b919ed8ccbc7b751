// SPDX-License-Identifier: Apache-2.0
/**
 * The part of the store that changes nothing: listing, resolving, exporting, verifying and comparing. All of it reaches the
 * layers of further roots, too, where it does not say otherwise.
 *
 * @module
 */
import type { Change } from "../changeset/change.ts";
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { StatusRow } from "../driver/interfaces/proto_driver.ts";
import type { LayerListing } from "../metadata/layerdb.ts";
import { type MountListing, parseMountName } from "../metadata/mounts.ts";
import { comparedTargets } from "./catalog/compare_record.ts";
import { changes, type CompareOptions, diff, diffSize, type DiffStreamOptions } from "./changes.ts";
import { contentsOf, type StoreContents } from "./contents.ts";
import type { StoreContext } from "./context.ts";
import { exportLayer } from "./export.ts";
import { inspect, type Inspection } from "./inspect.ts";
import { type StoreInfo, storeInfo } from "./info.ts";
import { allViews, type LayerView, type TarStreamOptions } from "./layer.ts";
import { listMounts, type MountedTarget } from "./list_mounts.ts";
import { type FurtherRoot, furtherRoot } from "./roots/further_root.ts";
import { locate, readingOf } from "./roots/locate.ts";
import { cacheIdOf, requireChain, resolveTarget, type Target } from "./target.ts";
import { type Verification, verify, type VerifyOptions } from "./verify.ts";

/** Tells of layers, writable layers and mounts. */
export class StoreQueries {
  readonly #context: StoreContext;

  /** @ignore */
  constructor(context: StoreContext) {
    this.#context = context;
  }

  /**
   * The directory that holds a layer's own files, in the driver's form: with overlay2 what the layer changes, with vfs the whole
   * tree. What is written there is not noticed, and damages a read-only layer.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS`; `NOT_SUPPORTED` when the driver does not tell
   */
  differTarget(ref: string): string {
    return this.#context.driver.differs.differTarget(cacheIdOf(resolveTarget(this.#context, ref)));
  }

  /** All that can be listed here and in further roots, with and without a record. Layers with one are not looked at. */
  contents(): StoreContents {
    return contentsOf(this.#context);
  }

  /** The further roots, in the order of their lookup, and what lies in each. */
  roots(): FurtherRoot[] {
    return this.#context.readOnlyRoots.map(furtherRoot);
  }

  /** All layers of the store's own root, and what is damaged. No handles are made. */
  layers(): LayerListing {
    return this.#context.layerDb.list();
  }

  /**
   * Views of all layers that can be used. They are no handles: they keep nothing, and to release one is `NOT_RETAINED`.
   * @throws {StrataError} only when the records' directory itself cannot be read
   */
  map(): Map<ChainId, LayerView> {
    return allViews(this.#context);
  }

  /**
   * The layer's tar, byte for byte what was registered. The stream fails, rather than end, when that cannot be.
   * @throws {StrataError} `NOT_FOUND`; on the stream, `CORRUPT`, `ABORTED`
   */
  export(
    chainId: ChainId,
    { record, ...options }: TarStreamOptions & Pick<VerifyOptions, "record"> = {},
  ): ReadableStream<Uint8Array> {
    return exportLayer(readingOf(this.#context, chainId, record), chainId, options);
  }

  /**
   * Whether a layer can still be given back byte for byte.
   * @throws {StrataError} `ABORTED`
   */
  verify(chainId: ChainId, { record, ...options }: VerifyOptions = {}): Promise<Verification> {
    return verify(readingOf(this.#context, chainId, record), chainId, options);
  }

  /**
   * Name of a writable layer's directory inside the driver.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  getMountId(name: string): CacheId {
    return this.#context.mounts.read(parseMountName(name)).mountId;
  }

  /** All writable layers, and what is damaged. */
  rwLayers(): MountListing {
    return this.#context.mounts.list();
  }

  /**
   * What a word means.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates
   */
  resolve(ref: string): Target {
    return locate(this.#context, ref).target;
  }

  /**
   * The layer that a word means.
   * @throws {StrataError} as {@link LayerStore.resolve}; `INVALID_ARGUMENT` for a writable layer
   */
  resolveChain(ref: string): ChainId {
    return requireChain(ref, locate(this.#context, ref).target);
  }

  /** Everything known of what a word means. */
  inspect(ref: string): Inspection {
    return inspect(this.#context, locate(this.#context, ref));
  }

  /** What is mounted now, and how often. */
  mounts(): MountedTarget[] {
    return listMounts(this.#context);
  }

  /**
   * What a layer changes of its parent, or of the layer `from`; sorted bytewise.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `ABORTED`
   */
  async changes(ref: string, from?: string, options: CompareOptions = {}): Promise<Change[]> {
    const { reading, target, reference } = comparedTargets(this.#context, ref, from);
    return await changes(reading, target, { ...options, from: reference });
  }

  /**
   * Bytes of the files that a layer adds or changes.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `ABORTED`
   */
  async diffSize(ref: string, from?: string, options: CompareOptions = {}): Promise<number> {
    const { reading, target, reference } = comparedTargets(this.#context, ref, from);
    return await diffSize(reading, target, { ...options, from: reference });
  }

  /**
   * The change as a layer's tar: the same bytes for the same trees, on every driver and runtime.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; on the stream, `ABORTED`
   */
  diff(ref: string, from?: string, options: DiffStreamOptions = {}): ReadableStream<Uint8Array> {
    const { reading, target, reference } = comparedTargets(this.#context, ref, from);
    return diff(reading, target, { ...options, from: reference });
  }

  /** What the driver tells of itself and of the file system below it. */
  driverStatus(): readonly StatusRow[] {
    return this.#context.driver.status();
  }

  /** The driver's name, such as `overlay2`. */
  get driverName(): string {
    return this.#context.driver.spec.name;
  }

  /** What the store is and what it can do here. */
  info(): StoreInfo {
    return storeInfo(this.#context);
  }
}
