// SPDX-License-Identifier: Apache-2.0
/**
 * The part of the catalog that changes nothing: containers/storage's `ROLayerStore`.
 *
 * @module
 */
import type { Change } from "../../changeset/change.ts";
import type { DiffId, Digest } from "../../core/digest.ts";
import type { RecordId } from "../../core/ids.ts";
import type { StatusRow } from "../../driver/interfaces/proto_driver.ts";
import type { CatalogListing } from "../../metadata/catalog/catalog_records.ts";
import type { CompareOptions } from "../changes.ts";
import type { StoreContext } from "../context.ts";
import { cacheIdOf, targetOf } from "../target.ts";
import { bigData, bigDataItem } from "./big_data.ts";
import { type DiffRecordOptions, recordChanges, recordDiff, recordDiffSize } from "./compare_record.ts";
import { type CatalogEntry, type EntryListing, entryOf } from "./entry.ts";
import { findRecord } from "./find_record.ts";
import { mountedTimes } from "./mount_record.ts";
import { type ParentOwners, parentOwners } from "./parent_owners.ts";
import { archiveSize, diffIdOf, entriesWhere, listEntries, recordExists } from "./queries.ts";

/**
 * Tells of records. A `ref` is a record's id, one of its names, a unique prefix of its id, or the ChainID of a layer that
 * one record alone stands for; in that order. Records in roots that are only read are found after the store's own.
 */
export class CatalogQueries {
  readonly #context: StoreContext;

  /** @ignore */
  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** The store's own records, oldest first, as their files have them, and what is damaged. */
  list(): CatalogListing {
    return this.#context.catalog.list();
  }

  /** All records that can be read, oldest first, those of roots that are only read after the store's own. */
  layers(): readonly CatalogEntry[] {
    return this.entries().entries;
  }

  /** As {@link CatalogQueries.layers}, with what is damaged of the store's own. */
  entries(): EntryListing {
    return listEntries(this.#context);
  }

  /**
   * One record.
   * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT`
   */
  get(ref: string): CatalogEntry {
    return entryOf(this.#context, findRecord(this.#context, ref));
  }

  /**
   * Whether there is such a record.
   * @throws {StrataError} `AMBIGUOUS`, `CORRUPT`
   */
  exists(ref: string): boolean {
    return recordExists(this.#context, ref);
  }

  /**
   * The id of a record.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `CORRUPT`
   */
  lookup(ref: string): RecordId {
    return findRecord(this.#context, ref).record.id;
  }

  /**
   * Bytes of the uncompressed tar of a record's layer; `undefined` for a writable layer, which has none.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  size(ref: string): Promise<number | undefined> {
    return archiveSize(this.#context, ref);
  }

  /** What the driver tells of itself and of the file system below it. */
  status(): readonly StatusRow[] {
    return this.#context.driver.status();
  }

  /** The records whose layer came from this blob; empty when there are none. */
  layersByCompressedDigest(digest: Digest): CatalogEntry[] {
    return entriesWhere(this.#context, ({ blob }) => blob?.digest === digest);
  }

  /** The records whose layer's uncompressed tar has this digest, whatever it lies on. */
  layersByUncompressedDigest(digest: DiffId): CatalogEntry[] {
    return entriesWhere(this.#context, (record) => diffIdOf(this.#context, record) === digest);
  }

  /** The records whose layer came from a blob with this table of contents. */
  layersByTocDigest(digest: Digest): CatalogEntry[] {
    return entriesWhere(this.#context, ({ blob }) => blob?.tocDigest === digest);
  }

  /**
   * A record's text; empty when none was set.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `CORRUPT`
   */
  metadata(ref: string): string {
    return findRecord(this.#context, ref).record.metadata;
  }

  /**
   * A data item's bytes. The stream fails, rather than end, when they are not those that were kept.
   * @throws {StrataError} `NOT_FOUND` for the record or the item; on the stream, `CORRUPT`
   */
  bigData(ref: string, key: string): ReadableStream<Uint8Array> {
    return bigData(this.#context, ref, key);
  }

  /**
   * The keys of a record's data items, in the order in which they were first set.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `CORRUPT`
   */
  bigDataNames(ref: string): string[] {
    return (findRecord(this.#context, ref).record.bigData ?? []).map(({ key }) => key);
  }

  /**
   * Bytes of a data item.
   * @throws {StrataError} `NOT_FOUND` for the record or the item
   */
  bigDataSize(ref: string, key: string): number {
    return bigDataItem(this.#context, ref, key).size;
  }

  /**
   * Digest of a data item.
   * @throws {StrataError} `NOT_FOUND` for the record or the item
   */
  bigDataDigest(ref: string, key: string): Digest {
    return bigDataItem(this.#context, ref, key).digest;
  }

  /**
   * How often a record has its layer mounted. A mount that the kernel lost does not count.
   * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`, `CORRUPT`
   */
  mounted(ref: string): number {
    return mountedTimes(this.#context, findRecord(this.#context, ref));
  }

  /**
   * The owners of the directories above a record's mount point that its maps do not hold; none for a record without maps.
   * @throws {StrataError} `NOT_FOUND` when it is not mounted
   */
  parentOwners(ref: string): ParentOwners {
    return parentOwners(this.#context, ref);
  }

  /**
   * The directory that holds the files of a record's layer, in the driver's form. What is written there is not noticed, and
   * damages a layer that is published.
   * @throws {StrataError} `NOT_FOUND`; `NOT_SUPPORTED` when the driver does not tell
   */
  differTarget(ref: string): string {
    const { record, root } = findRecord(this.#context, ref);
    const reading = root?.reading ?? this.#context;
    return reading.driver.differs.differTarget(cacheIdOf(targetOf(reading, record)));
  }

  /**
   * What a record's layer changes of its parent, or of the layer `from`; sorted bytewise.
   * @throws {StrataError} `NOT_FOUND`, also for `from`; `AMBIGUOUS`, `ABORTED`
   */
  changes(ref: string, from?: string, options: CompareOptions = {}): Promise<Change[]> {
    return recordChanges(this.#context, ref, { ...options, from });
  }

  /**
   * Bytes of the files that a record's layer adds or changes, hard links once.
   * @throws {StrataError} as {@link Catalog.changes}
   */
  diffSize(ref: string, from?: string, options: CompareOptions = {}): Promise<number> {
    return recordDiffSize(this.#context, ref, { ...options, from });
  }

  /**
   * The change as a layer's tar: of a sealed layer and its parent byte for byte the one that was taken in, else a computed
   * one, the same for the same trees.
   * @throws {StrataError} as {@link Catalog.changes}; on the stream, `CORRUPT`, `ABORTED`, `NOT_SUPPORTED` for zstd
   */
  diff(ref: string, from?: string, options: DiffRecordOptions = {}): ReadableStream<Uint8Array> {
    return recordDiff(this.#context, ref, { ...options, from });
  }
}
