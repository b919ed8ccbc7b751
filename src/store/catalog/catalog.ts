// SPDX-License-Identifier: Apache-2.0
/**
 * The catalog: records with an id, names and more, by which users know layers (D3). What containers/storage's layer store
 * keeps, over layers that are kept once however many records stand for them.
 *
 * Every verb lives in a file of its own; this class only says what there is.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import type { BigDataItem, CatalogRecord, JsonValue } from "../../metadata/catalog/catalog_record.ts";
import type { NameChange } from "../../metadata/catalog/catalog_records.ts";
import type { StoreContext } from "../context.ts";
import type { Differ } from "../differ/differ.ts";
import { stageDiff, type StageDiffOptions } from "../differ/stage_diff.ts";
import type { StagedLayerDiff } from "../differ/staged_layer_diff.ts";
import type { DeletedLayer } from "../layer.ts";
import type { MountOptions, UnmountOptions } from "../mount.ts";
import { setBigData } from "./big_data.ts";
import { CatalogQueries } from "./catalog_queries.ts";
import { changeFlag, changeNames, setMetadata } from "./change_record.ts";
import { type CreateLayerOptions, putLayer, type PutLayerOptions } from "./create_layer.ts";
import { fillFromDiffer, type FillFromDifferOptions } from "./fill_from_differ.ts";
import { applyDiff, type FillOptions } from "./fill_record.ts";
import { addRecord, type CreateRecordOptions, requireFree } from "./make_record.ts";
import { mountRecord, unmountRecord } from "./mount_record.ts";
import { putAdditionalLayer, type PutAdditionalLayerOptions } from "./put_additional_layer.ts";
import { recover, type RecoverOptions, type RecoveryStep } from "./recover.ts";
import { deleteRecord, type RemoveRecordOptions, wipe } from "./remove_record.ts";

/** Records of layers, to be looked up and changed: containers/storage's `LayerStore`. */
export class Catalog extends CatalogQueries {
  readonly #context: StoreContext;

  /** @ignore */
  constructor(context: StoreContext) {
    super(context);
    this.#context = context;
  }

  /**
   * Adds a record for a layer that is in the store.
   * @throws {StrataError} `CONFLICT` when the id or a name is taken, `NOT_FOUND` for the layer, `INVALID_ARGUMENT`
   */
  add(chainId: ChainId, options: CreateRecordOptions = {}): Promise<CatalogRecord> {
    return addRecord(this.#context, chainId, options);
  }

  /**
   * Makes a layer and its record: a sealed one that awaits its diff, a copy of a template, or a writable one.
   * @throws {StrataError} `CONFLICT` when the id or a name is taken; `NOT_FOUND` for the parent or the template;
   *   `INVALID_ARGUMENT`, `MAX_DEPTH`, `NOT_SUPPORTED`, `NO_SPACE`, `LOCKED`, `ABORTED`; nothing is left then
   */
  create(options: CreateLayerOptions = {}): Promise<CatalogRecord> {
    return putLayer(this.#context, options);
  }

  /**
   * As {@link Catalog.create}, with flags.
   * @throws {StrataError} as {@link Catalog.create}
   */
  createWithFlags(options: CreateLayerOptions & Pick<CreateRecordOptions, "flags">): Promise<CatalogRecord> {
    return putLayer(this.#context, options);
  }

  /**
   * As {@link Catalog.create}, with flags, data items, and the layer's tar, which is read to its end, or cancelled.
   * @throws {StrataError} as {@link Catalog.create}; `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `DIGEST_MISMATCH`
   */
  put(options: PutLayerOptions): Promise<CatalogRecord> {
    return putLayer(this.#context, options);
  }

  /**
   * Makes a record of a layer of an additional layer store, whose files stay there.
   * @throws {StrataError} `NOT_FOUND` naming the stores, `NOT_SUPPORTED`, `CONFLICT`, `DIGEST_MISMATCH` when the layer is not
   *   what its store claims, `CORRUPT` when its files are not its blob's; as registering a layer does; nothing is left then
   */
  putAdditionalLayer(options: PutAdditionalLayerOptions): Promise<CatalogRecord> {
    return putAdditionalLayer(this.#context, options);
  }

  /**
   * Refuses an id or names that {@link Catalog.add} and {@link Catalog.create} would refuse: before a long operation.
   * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT`
   */
  requireFree(options: Pick<CreateRecordOptions, "id" | "names">): void {
    requireFree(this.#context, options);
  }

  /**
   * Changes a record's names.
   * @throws {StrataError} `NOT_FOUND`, `CONFLICT` for another's name, `INVALID_ARGUMENT`, `NOT_PERMITTED` in a root that is
   *   only read
   */
  changeNames(ref: string, change: NameChange): Promise<CatalogRecord> {
    return changeNames(this.#context, ref, change);
  }

  /**
   * Gives a record these names instead of those that it has.
   * @throws {StrataError} as {@link Catalog.changeNames}
   */
  setNames(ref: string, names: readonly string[]): Promise<CatalogRecord> {
    return this.changeNames(ref, { how: "set", names });
  }

  /**
   * Puts names before those that a record has.
   * @throws {StrataError} as {@link Catalog.changeNames}
   */
  addNames(ref: string, names: readonly string[]): Promise<CatalogRecord> {
    return this.changeNames(ref, { how: "add", names });
  }

  /**
   * Takes names from a record; those that it does not have are no error.
   * @throws {StrataError} as {@link Catalog.changeNames}
   */
  removeNames(ref: string, names: readonly string[]): Promise<CatalogRecord> {
    return this.changeNames(ref, { how: "remove", names });
  }

  /**
   * Replaces a record's text.
   * @throws {StrataError} `NOT_FOUND`, `LIMIT_EXCEEDED`, `NOT_PERMITTED` in a root that is only read
   */
  setMetadata(ref: string, text: string): Promise<CatalogRecord> {
    return setMetadata(this.#context, ref, text);
  }

  /**
   * Sets a flag.
   * @throws {StrataError} as {@link Catalog.setMetadata}; `INVALID_ARGUMENT` for an empty key
   */
  setFlag(ref: string, key: string, value: JsonValue): Promise<CatalogRecord> {
    return changeFlag(this.#context, ref, { key, value });
  }

  /**
   * Takes a flag away; one that is not set is no error.
   * @throws {StrataError} as {@link Catalog.setFlag}
   */
  clearFlag(ref: string, key: string): Promise<CatalogRecord> {
    return changeFlag(this.#context, ref, { key });
  }

  /**
   * Sets a data item, new or not, under any key but the empty one. Who reads the old value meanwhile reads it to its end.
   * @throws {StrataError} `NOT_FOUND`, `INVALID_ARGUMENT`, `NO_SPACE`, `ABORTED`, `NOT_PERMITTED` in a root that is only read;
   *   the item is as it was then
   */
  setBigData(
    ref: string,
    key: string,
    value: ReadableStream<Uint8Array>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<BigDataItem> {
    return setBigData(this.#context, ref, { ...options, key, value });
  }

  /**
   * Mounts a record's layer and gives the path of its tree: read-only, unless it is a writable one. Counted for this record:
   * each call is to be matched by one {@link Catalog.unmount}.
   * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `NOT_SUPPORTED`, `IN_USE`, `LOCKED`
   */
  mount(ref: string, options: Omit<MountOptions, "holder"> = {}): Promise<string> {
    return mountRecord(this.#context, ref, options);
  }

  /**
   * Gives up a mount of this record.
   * @returns how many it has left
   * @throws {StrataError} `NOT_FOUND` when it has none; `LOCKED`
   */
  unmount(ref: string, options: Omit<UnmountOptions, "holder"> = {}): Promise<number> {
    return unmountRecord(this.#context, ref, options);
  }

  /**
   * Applies a tar, compressed or not, to a writable layer, or gives a sealed one the diff that it awaits.
   * @returns the bytes that it brought
   * @throws {StrataError} `NOT_FOUND`; `CONFLICT` for a layer that has its diff; `IN_USE` when it is mounted, or something lies
   *   on it; `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `DIGEST_MISMATCH`, `NO_SPACE`, `ABORTED`; all is as it was then
   */
  applyDiff(ref: string, stream: ReadableStream<Uint8Array>, options: FillOptions = {}): Promise<number> {
    return applyDiff(this.#context, ref, { ...options, stream });
  }

  /**
   * Has a differ put a layer's contents into a staging directory. Nothing is locked meanwhile.
   * @throws {StrataError} `INVALID_ARGUMENT`, `NO_SPACE`, `LOCKED`, `ABORTED`
   * @throws whatever the differ throws
   */
  applyDiffWithDiffer(differ: Differ, options: StageDiffOptions = {}): Promise<StagedLayerDiff> {
    return stageDiff(this.#context, differ, options);
  }

  /**
   * Gives a record that awaits its diff the layer that a differ has staged, with the text and the data items that the differ
   * tells. Once the layer is being made, what was staged is used up, whatever comes of it; refused before that, it can be
   * given to another record.
   * @throws {StrataError} as {@link Catalog.applyDiff}; `NOT_RETAINED` for what was used up before; `CORRUPT` when contents and
   *   tar-split do not fit; all is as it was then
   */
  applyDiffFromStagingDirectory(
    ref: string,
    staged: StagedLayerDiff,
    options: FillFromDifferOptions = {},
  ): Promise<CatalogRecord> {
    return fillFromDiffer(this.#context, ref, { ...options, staged });
  }

  /** Removes what a differ has staged. Nothing happens when it is used up. */
  cleanupStagingDirectory(staged: StagedLayerDiff): Promise<void> {
    return staged[Symbol.asyncDispose]();
  }

  /**
   * Removes a record, and the layers that nothing needs after it. A damaged one can be removed, too.
   * @returns the layers that went with it, top first
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; `NOT_PERMITTED` in a root that is only read; `IN_USE` when it is mounted, or
   *   is the last record of a layer that something else needs
   */
  delete(ref: string, options: RemoveRecordOptions = {}): Promise<DeletedLayer[]> {
    return deleteRecord(this.#context, ref, options);
  }

  /**
   * Removes all records, and the layers that nothing needs after that; what images and other processes need stays.
   * @returns the layers that went
   * @throws {StrataError} `IN_USE` when one is mounted, before anything is removed; `LOCKED`
   */
  wipe(options: RemoveRecordOptions = {}): Promise<DeletedLayer[]> {
    return wipe(this.#context, options);
  }

  /**
   * Removes what a crash left of records that never came to be, or are gone: their writable layers and data items. Nothing
   * else does that unasked.
   * @returns what was found, and what became of it
   * @throws {StrataError} `LOCKED`, `NOT_PERMITTED`
   */
  recover(options: RecoverOptions = {}): Promise<RecoveryStep[]> {
    return recover(this.#context, options);
  }
}
