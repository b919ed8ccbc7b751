// SPDX-License-Identifier: Apache-2.0
/**
 * The store of layers: read-only ones by ChainID, writable ones by name. Docker's `layer` package, and with
 * {@link Catalog} what containers/storage has beside it, over one content store (D3).
 *
 * Every verb lives in a file of its own; this class only says what there is.
 *
 * @module
 */
import type { Change } from "../changeset/change.ts";
import type { ChainId } from "../core/digest.ts";
import type { LayerListing } from "../metadata/layerdb.ts";
import { type MountListing, parseMountName } from "../metadata/mounts.ts";
import { applyDiff, type ApplyDiffOptions } from "./apply_diff.ts";
import { Catalog } from "./catalog.ts";
import { changes, diff, diffSize } from "./changes.ts";
import { commit, type CommitOptions } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { createRWLayer, type CreateRWLayerOptions } from "./create_rw_layer.ts";
import { exportLayer } from "./export.ts";
import { inspect, type Inspection } from "./inspect.ts";
import { type StoreInfo, storeInfo } from "./info.ts";
import type { DeletedLayer, Layer } from "./layer.ts";
import { listMounts, type MountedTarget } from "./list_mounts.ts";
import { type MountOptions, mountTarget, type UnmountOptions, unmountTarget } from "./mount.ts";
import { openContext, type OpenOptions } from "./open.ts";
import { register, type RegisterOptions } from "./register.ts";
import { release } from "./release.ts";
import { releaseRWLayer, type ReleaseRWLayerOptions } from "./release_rw_layer.ts";
import { RWLayer } from "./rw_layer.ts";
import { resolveChain, resolveTarget, type Target } from "./target.ts";
import { type Verification, verify } from "./verify.ts";

/**
 * An open store. Many processes may have the same one open. Dispose of it to end its threads and drop its handles; no
 * layer is deleted by that.
 *
 * A `ref` is the name of a writable layer, the id or a name of a catalog record, a ChainID, or a unique prefix of an id
 * or of a ChainID's hex digits.
 */
export class LayerStore implements AsyncDisposable {
  /** Names for layers. */
  readonly catalog: Catalog;
  readonly #context: StoreContext;

  private constructor(context: StoreContext) {
    this.#context = context;
    this.catalog = new Catalog(context);
  }

  /**
   * What the rooms beside this one work with.
   * @ignore
   */
  static contextOf(store: LayerStore): StoreContext {
    return store.#context;
  }

  /**
   * Opens a store, making it when it does not exist. Nothing is repaired and nothing deleted (I8).
   * @throws {StrataError} `NOT_SUPPORTED` when the driver cannot work there, `AMBIGUOUS` when the root holds several
   *   drivers' layers, `NOT_PERMITTED`
   */
  static async open(options: OpenOptions = {}): Promise<LayerStore> {
    return new LayerStore(await openContext(options));
  }

  /**
   * Registers a layer from its tar: plain, gzip, zstd, xz or bzip2, found by its bytes. The stream is read to its end,
   * or cancelled. A layer that is here already is not kept twice; its handle is a new one all the same.
   * @throws {StrataError} `NOT_FOUND` (the parent), `MAX_DEPTH`, `DIGEST_MISMATCH`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`,
   *   `NO_SPACE`, `LOCKED`, `ABORTED`
   */
  register(stream: ReadableStream<Uint8Array>, options: RegisterOptions = {}): Promise<Layer> {
    return register(this.#context, stream, options);
  }

  /**
   * A new handle of a layer.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  get(chainId: ChainId): Layer {
    return this.#context.handles.retain(this.#context.layerDb.read(chainId));
  }

  /** All layers on disk, and what is damaged. No handles are made. */
  layers(): LayerListing {
    return this.#context.layerDb.list();
  }

  /**
   * Takes a handle back, and deletes the layers that nothing needs any more: what is returned, top first.
   * @throws {StrataError} `NOT_RETAINED` for a handle that was released before
   */
  release(layer: Layer): Promise<DeletedLayer[]> {
    return release(this.#context, layer);
  }

  /**
   * The layer's tar, byte for byte what was registered. The stream fails, rather than end, when that cannot be.
   * @throws {StrataError} `NOT_FOUND`; on the stream, `CORRUPT`
   */
  export(chainId: ChainId): ReadableStream<Uint8Array> {
    return exportLayer(this.#context, chainId);
  }

  /** Whether a layer can still be given back byte for byte. */
  verify(chainId: ChainId): Promise<Verification> {
    return verify(this.#context, chainId);
  }

  /**
   * Makes a writable layer.
   * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT` (the name), `NOT_FOUND` (the parent), `NOT_SUPPORTED`
   */
  createRWLayer(name: string, options: CreateRWLayerOptions = {}): Promise<RWLayer> {
    return createRWLayer(this.#context, name, options);
  }

  /**
   * A new handle of a writable layer.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  getRWLayer(name: string): RWLayer {
    return new RWLayer(this.#context.mounts.read(parseMountName(name)));
  }

  /** All writable layers, and what is damaged. */
  rwLayers(): MountListing {
    return this.#context.mounts.list();
  }

  /**
   * Removes a writable layer with its changes, and the layers that nothing needs after it, which are returned.
   * @throws {StrataError} `NOT_FOUND`; `IN_USE` when it is mounted
   */
  async releaseRWLayer(name: string, options: ReleaseRWLayerOptions = {}): Promise<DeletedLayer[]> {
    return await releaseRWLayer(this.#context, parseMountName(name), options);
  }

  /**
   * What a word means.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates
   */
  resolve(ref: string): Target {
    return resolveTarget(this.#context, ref);
  }

  /**
   * The layer that a word means.
   * @throws {StrataError} as {@link LayerStore.resolve}; `INVALID_ARGUMENT` for a writable layer
   */
  resolveChain(ref: string): ChainId {
    return resolveChain(this.#context, ref);
  }

  /** Everything known of what a word means. */
  inspect(ref: string): Inspection {
    return inspect(this.#context, resolveTarget(this.#context, ref));
  }

  /**
   * Mounts a writable layer, or a stack of layers read-only, and gives the path of its tree. Counted: each call is to
   * be matched by one {@link LayerStore.unmount}.
   * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `NOT_SUPPORTED`
   */
  async mount(ref: string, options: MountOptions = {}): Promise<string> {
    return await mountTarget(this.#context, resolveTarget(this.#context, ref), options);
  }

  /**
   * Gives up a mount, by ref or by the path that {@link LayerStore.mount} gave; the last one unmounts.
   * @returns how many are left
   * @throws {StrataError} `NOT_FOUND` when it is not mounted
   */
  async unmount(refOrPath: string, options: UnmountOptions = {}): Promise<number> {
    const byPath = refOrPath.includes("/")
      ? this.mounts().find((mounted) => mounted.path === refOrPath.replace(/\/+$/, ""))?.target
      : undefined;
    return await unmountTarget(this.#context, byPath ?? resolveTarget(this.#context, refOrPath), options);
  }

  /** What is mounted now, and how often. */
  mounts(): MountedTarget[] {
    return listMounts(this.#context);
  }

  /** What a layer changes of its parent, or of the layer `from`; sorted bytewise. */
  async changes(ref: string, from?: string): Promise<Change[]> {
    return await changes(this.#context, this.resolve(ref), this.#reference(from));
  }

  /** Bytes of the files that a layer adds or changes. */
  async diffSize(ref: string, from?: string): Promise<number> {
    return await diffSize(this.#context, this.resolve(ref), this.#reference(from));
  }

  /** The change as a layer's tar: the same bytes for the same trees, on every driver and runtime. */
  diff(ref: string, from?: string): ReadableStream<Uint8Array> {
    return diff(this.#context, this.resolve(ref), this.#reference(from));
  }

  /**
   * Applies a layer's tar to a writable layer, and gives the bytes it brought. A bad archive changes nothing.
   * @throws {StrataError} `NOT_FOUND`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`
   */
  applyDiff(name: string, stream: ReadableStream<Uint8Array>, options: ApplyDiffOptions = {}): Promise<number> {
    return applyDiff(this.#context, name, { ...options, stream });
  }

  /**
   * Registers what a writable layer changes as a layer on its parent. The writable layer stays.
   * @throws {StrataError} `NOT_FOUND`, `NO_SPACE`, `ABORTED`
   */
  async commit(name: string, options: CommitOptions = {}): Promise<Layer> {
    return await commit(this.#context, this.#context.mounts.read(parseMountName(name)), options);
  }

  /** What the store is and what it can do here. */
  info(): StoreInfo {
    return storeInfo(this.#context);
  }

  /** Ends the store's threads and drops its handles. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.pool[Symbol.asyncDispose]();
    this.#context.holds[Symbol.dispose]();
  }

  #reference(from: string | undefined): Target | undefined {
    return from === undefined ? undefined : this.resolve(from);
  }
}
