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
import type { BigDataItem, CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
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
  await underLock(context, (lock) => {
    let { bigData: listed = [] } = context.catalog.get(id);
    try {
      context.bigData.publish(lock, id, { path, digest: item.digest });
      const after = context.catalog.update(lock, id, (record) => ({ bigData: withItem(record, item) }));
      listed = after.bigData ?? [];
    } finally {
      context.bigData.removeUnlisted(lock, id, listed);
    }
  }, request.signal);
  return item;
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
function withItem({ bigData = [] }: CatalogRecord, item: BigDataItem): BigDataItem[] {
  const at = bigData.findIndex(({ key }) => key === item.key);
  return at < 0 ? [...bigData, item] : bigData.with(at, item);
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
