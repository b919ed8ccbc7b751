// SPDX-License-Identifier: Apache-2.0
/**
 * Data items of records: any bytes under any key, replaced as a whole, and compared with their digest when they are read.
 *
 *   setting: bytes ─▶ staging, hashed ─▶ sync ─▶ write lock: file to its place ─▶ record ●
 *
 * @module
 */
import { hasCode, StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { syncFile } from "../../host/durable.ts";
import { openRegularStream, writeFileStream } from "../../host/streams.ts";
import { checkBigDataKey } from "../../metadata/catalog/big_data_files.ts";
import type { RecordChange } from "../../metadata/catalog/catalog_records.ts";
import type { BigDataItem, CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import type { Staging } from "../../metadata/staging.ts";
import type { WriteLock } from "../../metadata/write_lock.ts";
import { digestTap, verifyingTap } from "../../stream/digest_tap.ts";
import { chunksOf, streamOf } from "../../stream/pipe.ts";
import { namingRoot, type StoreContext, underLock } from "../context.ts";
import { findOwnRecord, findRecord } from "./find_record.ts";

/** A data item to be kept. */
export interface BigDataValue {
  readonly key: string;
  readonly value: ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** A data item that is to be a record's, in a file beside the store. */
export interface StagedItem {
  readonly item: BigDataItem;
  readonly path: string;
}

/**
 * Sets a data item. Who reads the old value meanwhile reads it to its end.
 * @throws {StrataError} `NOT_FOUND`, `INVALID_ARGUMENT` for an empty key, `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`; then the
 *   item is as it was
 */
export async function setBigData(
  context: StoreContext,
  ref: string,
  { key, value, signal }: BigDataValue,
): Promise<BigDataItem> {
  try {
    checkBigDataKey(key);
    const { id } = findOwnRecord(context, ref);
    context.dockerd.requireAbsent();
    return await namingRoot(context, () => stageAndKeep(context, id, { key, value, ...(signal && { signal }) }));
  } catch (error) {
    await value.cancel(error).catch(() => {});
    throw error;
  }
}

/**
 * A data item's bytes. The stream fails, rather than end, when they are not those that were kept.
 * @throws {StrataError} `NOT_FOUND` for the record or the item; on the stream, `CORRUPT`
 */
export function bigData(context: StoreContext, ref: string, key: string): ReadableStream<Uint8Array> {
  const { record, root } = findRecord(context, ref);
  if (root !== undefined) return root.bigData(record.id, key);
  const item = itemOf(record, key);
  return verified(context.bigData.path(record.id, item.digest), item);
}

/**
 * What is recorded of a data item.
 * @throws {StrataError} `NOT_FOUND`
 */
export function bigDataItem(context: StoreContext, ref: string, key: string): BigDataItem {
  return itemOf(findRecord(context, ref).record, key);
}

/**
 * The bytes of a file, held to the digest and size that are recorded of them.
 * @throws {StrataError} on the stream, `CORRUPT`
 */
export function verified(path: string, { key, digest, size }: BigDataItem): ReadableStream<Uint8Array> {
  return streamOf(() => verifiedChunks(path, { key, digest, size }));
}

async function* verifiedChunks(path: string, { key, digest, size }: BigDataItem): AsyncGenerator<Uint8Array> {
  try {
    const { stream } = await openRegularStream(path);
    yield* chunksOf(stream.pipeThrough(verifyingTap({ expected: digest, sizeBytes: size, what: "data item" })));
  } catch (cause) {
    if (!hasCode(cause, "DIGEST_MISMATCH") && !hasCode(cause, "NOT_FOUND")) throw cause;
    const problem = hasCode(cause, "NOT_FOUND") ? "is missing" : "holds other bytes than were kept";
    throw new StrataError(
      "CORRUPT",
      `Cannot read data item "${key}": its file "${path}" ${problem}; set it again`,
      { path },
      { cause },
    );
  }
}

async function stageAndKeep(context: StoreContext, id: RecordId, request: BigDataValue): Promise<BigDataItem> {
  await using staging = context.staging.create("data item");
  const path = staging.path("data");
  const item = await stageBigData(context, path, request);
  const data = [{ item, path }];
  await underLock(context, (lock) => updateWithData(context, lock, { id, data, change: () => ({}) }), request.signal);
  return item;
}

/** A change of a record, and data items that come with it. */
export interface ChangeWithData {
  readonly id: RecordId;
  readonly data: readonly StagedItem[];
  /** What else changes. What it throws keeps the record as it was. */
  readonly change: (before: CatalogRecord) => RecordChange;
}

/** Changes a record and sets data items, all at once or not at all. */
export function updateWithData(
  context: StoreContext,
  lock: WriteLock,
  { id, data, change }: ChangeWithData,
): CatalogRecord {
  if (data.length === 0) return context.catalog.update(lock, id, change);
  let { bigData: listed = [] } = context.catalog.get(id);
  try {
    for (const { item: { digest }, path } of data) context.bigData.publish(lock, id, { path, digest });
    const after = context.catalog.update(lock, id, (record) => {
      const bigData = data.reduce((items, { item }) => withItem(items, item), record.bigData ?? []);
      return { ...change(record), bigData };
    });
    listed = after.bigData ?? [];
    return after;
  } finally {
    context.bigData.removeUnlisted(lock, id, listed);
  }
}

/**
 * Writes data items to files beside the store, so that they can come with their record or not at all.
 * @throws {StrataError} `INVALID_ARGUMENT` for an empty key, `NO_SPACE`, `ABORTED`
 */
export async function stageItems(
  context: StoreContext,
  staging: Staging,
  { bigData = new Map(), signal }: {
    readonly bigData?: ReadonlyMap<string, Uint8Array> | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<StagedItem[]> {
  const staged: StagedItem[] = [];
  for (const [key, bytes] of bigData) {
    checkBigDataKey(key);
    const path = staging.path(`data-${staged.length}`);
    const value = new Blob([bytes.slice()]).stream();
    staged.push({
      path,
      item: await stageBigData(context, path, { key, value, ...(signal === undefined ? {} : { signal }) }),
    });
  }
  return staged;
}

/**
 * Writes a data item to a file beside the store.
 * @throws {StrataError} `NO_SPACE`, `ABORTED`
 */
export async function stageBigData(
  { settings }: StoreContext,
  path: string,
  { key, value, signal }: BigDataValue,
): Promise<BigDataItem> {
  const tap = digestTap();
  await writeFileStream(path, value.pipeThrough(tap.stream), signal === undefined ? {} : { signal });
  if (settings.durability === "full") syncFile(path);
  const { digest, sizeBytes: size } = await tap.result();
  return { key, digest, size };
}

/** A key keeps its place; a new one comes last. */
function withItem(items: readonly BigDataItem[], item: BigDataItem): readonly BigDataItem[] {
  const at = items.findIndex(({ key }) => key === item.key);
  return at < 0 ? [...items, item] : items.with(at, item);
}

function itemOf({ id, bigData = [] }: CatalogRecord, key: string): BigDataItem {
  checkBigDataKey(key);
  const item = bigData.find((each) => each.key === key);
  if (item !== undefined) return item;
  throw new StrataError(
    "NOT_FOUND",
    `Cannot find data item ${
      JSON.stringify(key)
    }: record "${id}" has none of this key; "strata data ls ${id}" lists them`,
    { kind: "data item", ref: key },
  );
}
