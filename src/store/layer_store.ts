// SPDX-License-Identifier: Apache-2.0
/**
 * The store of layers: read-only ones by ChainID, writable ones by name. Docker's `layer` package, and with
 * {@link Catalog} what containers/storage has beside it, over one content store (D3).
 *
 * Every verb lives in a file of its own; this class only says what there is, and {@link StoreQueries} those that change
 * nothing.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { type MountRecord, parseMountName } from "../metadata/mounts.ts";
import { adopt, type AdoptOptions, type AdoptReport } from "./adopt/adopt.ts";
import { applyDiff, type ApplyDiffOptions } from "./apply_diff.ts";
import { Catalog } from "./catalog/catalog.ts";
import { mountRef, unmountRef } from "./catalog/mount_record.ts";
import { checksumForGraphId, type ChecksumForGraphIdOptions, type LayerChecksum } from "./checksum_for_graph_id.ts";
import { cleanup, type CleanupReport } from "./cleanup.ts";
import { commit, type CommitOptions } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { createRWLayer, type CreateRWLayerOptions } from "./create_rw_layer.ts";
import type { Differ } from "./differ/differ.ts";
import {
  type RegisteredDiff,
  registerStagedDiff,
  type RegisterStagedDiffOptions,
} from "./differ/register_staged_diff.ts";
import { stageDiff, type StageDiffOptions } from "./differ/stage_diff.ts";
import type { StagedLayerDiff } from "./differ/staged_layer_diff.ts";
import { fsck, type FsckOptions, type FsckReport } from "./fsck.ts";
import { collectGarbage, type GcOptions, type GcReport } from "./gc.ts";
import { HeldLayers } from "./held_layers.ts";
import type { DeletedLayer, Layer, LayerView } from "./layer.ts";
import type { MountOptions, UnmountOptions } from "./mount.ts";
import { openContext, type OpenOptions } from "./open.ts";
import { register, type RegisterOptions, type RegisterWithDescriptorOptions } from "./register.ts";
import { registerByGraphId, type RegisterByGraphIdOptions } from "./register_by_graph_id.ts";
import { release } from "./release.ts";
import { releaseRWLayer, type ReleaseRWLayerOptions } from "./release_rw_layer.ts";
import type { RWLayer } from "./rw_layer.ts";
import { StoreQueries } from "./store_queries.ts";

/**
 * An open store. Many processes may have the same one open. Dispose of it to end its threads and drop its handles; no
 * layer is deleted by that.
 *
 * A `ref` is the name of a writable layer, the id or a name of a catalog record, a ChainID, or a unique prefix of an id
 * or of a ChainID's hex digits.
 */
export class LayerStore extends StoreQueries implements AsyncDisposable {
  /** Names for layers. */
  readonly catalog: Catalog;
  readonly #context: StoreContext;

  private constructor(context: StoreContext) {
    super(context);
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
   * Registers a layer as {@link LayerStore.register} does, and keeps with it how a registry's manifest describes it.
   * @throws {StrataError} as {@link LayerStore.register}
   */
  registerWithDescriptor(stream: ReadableStream<Uint8Array>, options: RegisterWithDescriptorOptions): Promise<Layer> {
    return register(this.#context, stream, options);
  }

  /**
   * Registers a directory of the driver as a layer, when the tar-split beside it gives the layer's tar back.
   * @param graphId the directory's name
   * @throws {StrataError} `INVALID_ARGUMENT`, `NOT_FOUND` (the parent, the directory), `MAX_DEPTH`, `DIGEST_MISMATCH`,
   *   `CORRUPT` when tar-split and tree do not fit, `CONFLICT` when the directory is another layer's, `NO_SPACE`, `LOCKED`,
   *   `ABORTED`
   */
  registerByGraphId(graphId: string, options: RegisterByGraphIdOptions): Promise<Layer> {
    return registerByGraphId(this.#context, graphId, options);
  }

  /**
   * What {@link LayerStore.registerByGraphId} is to be told of a directory of the driver: it is packed for that once.
   * @throws {StrataError} `INVALID_ARGUMENT`, `NOT_FOUND`, `NO_SPACE`, `IO`, `ABORTED`
   */
  checksumForGraphId(graphId: string, options: ChecksumForGraphIdOptions): Promise<LayerChecksum> {
    return checksumForGraphId(this.#context, graphId, options);
  }

  /**
   * Has a differ put a layer's contents into a staging directory. Nothing is locked meanwhile. To discard what is staged,
   * dispose of it.
   * @throws {StrataError} `INVALID_ARGUMENT`, `NO_SPACE`, `LOCKED`, `ABORTED`
   * @throws whatever the differ throws
   */
  stageDiff(differ: Differ, options: StageDiffOptions = {}): Promise<StagedLayerDiff> {
    return stageDiff(this.#context, differ, options);
  }

  /**
   * Registers what a differ has staged: the layer that its tar would have made. Once the work has begun, what was staged is used
   * up, whatever comes of it.
   * @throws {StrataError} `NOT_RETAINED` for what was registered or discarded before; `NOT_FOUND` (the parent), `MAX_DEPTH`;
   *   `DIGEST_MISMATCH` when it is not the layer that it should be, `CORRUPT` when contents and tar-split do not fit;
   *   `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `LOCKED`, `ABORTED`
   */
  registerStagedDiff(staged: StagedLayerDiff, options: RegisterStagedDiffOptions = {}): Promise<RegisteredDiff> {
    return registerStagedDiff(this.#context, staged, options);
  }

  /**
   * Copies records of another root with their layers, whose digests are computed again. One that cannot come keeps no other back.
   * @throws {StrataError} `NOT_FOUND` (the root, a ref), `AMBIGUOUS`, `INVALID_ARGUMENT`, `NOT_SUPPORTED`; `NO_SPACE`, `LOCKED`, `ABORTED`
   */
  adopt(options: AdoptOptions): Promise<AdoptReport> {
    return adopt(this.#context, options);
  }

  /**
   * A new handle of a layer.
   * @throws {StrataError} `NOT_FOUND`; `CORRUPT` naming the file and the remedy
   */
  get(chainId: ChainId): Layer {
    using held = new HeldLayers(this.#context);
    return this.#context.handles.retain(held.read(chainId));
  }

  /**
   * Takes a handle back, and deletes the layers that nothing needs any more: what is returned, top first. For a layer
   * that is not in the store any more, nothing happens.
   * @throws {StrataError} `NOT_RETAINED` for a handle that was released before, for one of another store, and for a view;
   *   `LOCKED`
   */
  async release(layer: LayerView): Promise<DeletedLayer[]> {
    const { handles, layerDb } = this.#context;
    if (layerDb.has(layer.chainId)) return await release(this.#context, layer);
    handles.forget(layer);
    return [];
  }

  /**
   * Makes a writable layer.
   * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT` (the name), `NOT_FOUND` (the parent), `MAX_DEPTH`, `NOT_SUPPORTED`,
   *   `NO_SPACE`, `LOCKED`, `ABORTED`
   * @throws whatever the init function throws
   */
  createRWLayer(name: string, options: CreateRWLayerOptions = {}): Promise<RWLayer> {
    return createRWLayer(this.#context, name, options);
  }

  /**
   * A new handle of a writable layer.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  getRWLayer(name: string): RWLayer {
    return this.#context.handles.retainRW(this.#context.mounts.read(parseMountName(name)));
  }

  /**
   * Gives a handle back; with the last one of this process, the writable layer goes with its changes, and so do the layers
   * that nothing needs after it, which are returned. By name, it goes whatever handles there are. When that fails, the
   * handle is as it was.
   * @throws {StrataError} `NOT_RETAINED` for a handle that was given back before, while the layer is there; `NOT_FOUND` for
   *   a name; `IN_USE` when it is mounted; `LOCKED`
   */
  async releaseRWLayer(layer: RWLayer | string, options: ReleaseRWLayerOptions = {}): Promise<DeletedLayer[]> {
    return await releaseRWLayer(this.#context, layer, options);
  }

  /**
   * Mounts a writable layer, or a stack of layers read-only, and gives the path of its tree. Counted: each call is to
   * be matched by one {@link LayerStore.unmount}. A record's id or name mounts for that record, as {@link Catalog.mount} does.
   * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `NOT_SUPPORTED`
   */
  async mount(ref: string, options: MountOptions = {}): Promise<string> {
    return await mountRef(this.#context, ref, options);
  }

  /**
   * Gives up a mount, by ref or by the path that {@link LayerStore.mount} gave; the last one unmounts.
   * @returns how many are left
   * @throws {StrataError} `NOT_FOUND` when it is not mounted
   */
  async unmount(refOrPath: string, options: UnmountOptions = {}): Promise<number> {
    return await unmountRef(this.#context, refOrPath, options);
  }

  /**
   * Applies a layer's tar to a writable layer, and gives the bytes it brought. A bad archive changes nothing.
   * @throws {StrataError} `NOT_FOUND`, `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`
   */
  applyDiff(name: string, stream: ReadableStream<Uint8Array>, options: ApplyDiffOptions = {}): Promise<number> {
    const find = (): MountRecord => this.#context.mounts.read(parseMountName(name));
    return applyDiff(this.#context, find, { ...options, stream });
  }

  /**
   * Registers what a writable layer changes as a layer on its parent. The writable layer stays.
   * @throws {StrataError} `NOT_FOUND`, `NO_SPACE`, `ABORTED`
   */
  async commit(name: string, options: CommitOptions = {}): Promise<Layer> {
    return await commit(this.#context, this.#context.mounts.read(parseMountName(name)), options);
  }

  /**
   * Finishes deletions that were cut short, by this store or by Docker. When nothing of this store is mounted, the driver
   * lets go of all that is mounted below its home.
   * @throws {StrataError} `LOCKED`; `IO` when something stays mounted
   */
  cleanup(): Promise<CleanupReport> {
    return cleanup(this.#context);
  }

  /**
   * Removes what nothing needs and what ended processes left, or says what would go. A failure to remove one thing is part
   * of the report.
   * @throws {StrataError} `LOCKED`
   */
  gc(options: GcOptions = {}): Promise<GcReport> {
    return collectGarbage(this.#context, options);
  }

  /**
   * Looks for damage in all of the store, and puts right what it is asked to. Damage is a result, not an error.
   * @throws {StrataError} `ABORTED`; with a repair, `LOCKED`, `NOT_PERMITTED`, `NO_SPACE`
   */
  fsck(options: FsckOptions = {}): Promise<FsckReport> {
    return fsck(this.#context, options);
  }

  /** Ends the store's threads and drops its handles: for runtimes without `await using`, such as Node 20. */
  async close(): Promise<void> {
    await this.#context.pool[Symbol.asyncDispose]();
    this.#context.holds[Symbol.dispose]();
  }

  /** As {@link LayerStore.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
