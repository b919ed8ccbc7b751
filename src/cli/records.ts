// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer and its record in one go: what `register` and `commit` share.
 *
 * @module
 */
import type { BigDataItem, CatalogRecord, CreateRecordOptions, JsonValue, LayerStore } from "../../mod.ts";
import type { PutLayerOptions } from "../../mod.ts";
import type { OptionSpec } from "./command.ts";
import { warnOfDropped } from "./dropped.ts";
import { UsageError } from "./errors.ts";
import { ID_MAP_OPTIONS, idMappingsOf } from "./id_maps.ts";
import { parsePairs } from "./input.ts";
import type { Invocation } from "./invocation.ts";
import { parseJsonValue } from "./json_value.ts";
import { openInput, STANDARD } from "./text_input.ts";

/** What is said of the new record. */
export const RECORD_OPTIONS: readonly OptionSpec[] = [
  { name: "id", value: "ID", summary: "the record's id; random by default" },
  { name: "name", value: "NAME", repeated: "list", summary: "a name for the layer; may be repeated" },
  { name: "metadata", value: "TEXT", summary: "a text to be kept with it" },
  { name: "flag", value: "KEY[=JSON]", repeated: "list", summary: "a flag, true without a value; may be repeated" },
  { name: "data", value: "KEY=FILE", repeated: "list", summary: "a data item to be kept with it; may be repeated" },
  { name: "mount-label", value: "LABEL", summary: "the SELinux label of its mounts" },
  ...ID_MAP_OPTIONS,
];

/** A record to be made. */
export interface NewRecord extends CreateRecordOptions, Pick<PutLayerOptions, "idMappings"> {
  /** Files of data items, by key. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * What the options say of the new record.
 * @throws {UsageError} for a flag or a data item that cannot be one
 */
export async function newRecord(invocation: Invocation): Promise<NewRecord> {
  const { input } = invocation;
  const [id, metadata, mountLabel] = [input.text("id"), input.text("metadata"), input.text("mount-label")];
  const idMappings = await idMappingsOf(invocation);
  const files = parsePairs("data", input.list("data"));
  if (Object.values(files).includes(STANDARD)) {
    throw new UsageError("Cannot read a data item from standard input here: name a file", {
      hint: 'Make the layer first, and then use "strata data set"',
    });
  }
  return {
    names: input.list("name"),
    flags: Object.fromEntries(input.list("flag").map(flagOf)),
    files,
    ...(id === undefined ? {} : { id }),
    ...(metadata === undefined ? {} : { metadata }),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(idMappings === undefined ? {} : { idMappings }),
  };
}

function flagOf(text: string): [key: string, value: JsonValue] {
  const equals = text.indexOf("=");
  const key = equals < 0 ? text : text.slice(0, equals);
  if (key === "") throw new UsageError(`Cannot use --flag "${text}": expected KEY or KEY=JSON`);
  return [key, equals < 0 ? true : parseJsonValue(text.slice(equals + 1), `flag ${JSON.stringify(key)}`)];
}

/** The layer that a record is to stand for. */
export type NewLayer =
  & Required<Pick<PutLayerOptions, "diff">>
  & Pick<PutLayerOptions, "parent" | "expected" | "onProgress">;

/** What is to be made. */
export interface RecordRequest {
  readonly record: NewRecord;
  readonly layer: NewLayer;
  /** Called when all of it is there. */
  readonly onDone?: () => Promise<void>;
}

/**
 * Makes a layer and its record, and prints the layer. When anything fails, nothing is left.
 * @throws {StrataError} `CONFLICT` when an id or a name is taken; as registering a layer does
 */
export async function putRecord(
  invocation: Invocation,
  store: LayerStore,
  request: RecordRequest,
): Promise<void> {
  const { signal } = invocation;
  const { files, ...options } = request.record;
  const opened = await openFiles(invocation, files);
  try {
    const record = await store.catalog.put({ ...request.layer, ...options, signal });
    const whole = await withData(store, { record, opened, signal });
    await request.onDone?.();
    await printLayer(invocation, store, whole);
  } catch (error) {
    await request.layer.diff.cancel(error).catch(() => {});
    throw error;
  } finally {
    for (const stream of opened.values()) await stream.cancel().catch(() => {});
  }
}

type OpenedFiles = ReadonlyMap<string, ReadableStream<Uint8Array>>;

/** Before anything else is done: a file that is missing is to be known at once. */
async function openFiles(invocation: Invocation, files: Readonly<Record<string, string>>): Promise<OpenedFiles> {
  const opened = new Map<string, ReadableStream<Uint8Array>>();
  try {
    for (const [key, file] of Object.entries(files)) opened.set(key, await openInput(invocation, file, "a data item"));
    return opened;
  } catch (error) {
    for (const stream of opened.values()) await stream.cancel(error).catch(() => {});
    throw error;
  }
}

interface RecordWithData {
  readonly record: CatalogRecord;
  readonly opened: OpenedFiles;
  readonly signal: AbortSignal;
}

async function withData(store: LayerStore, { record, opened, signal }: RecordWithData): Promise<CatalogRecord> {
  const bigData: BigDataItem[] = [];
  try {
    for (const [key, value] of opened) bigData.push(await store.catalog.setBigData(record.id, key, value, { signal }));
  } catch (error) {
    await store.catalog.delete(record.id, { whenUsed: "remove" });
    throw error;
  }
  return { ...record, bigData };
}

async function printLayer(invocation: Invocation, store: LayerStore, record: CatalogRecord): Promise<void> {
  const inspection = store.inspect(record.id);
  if (inspection.kind !== "layer") throw new TypeError(`Cannot print ${record.id}: it is no layer`);
  const { layer, chainSizeBytes } = inspection;
  await warnOfDropped(invocation.log, { count: layer.droppedAttributes ?? 0, listed: layer.dropped ?? [] });
  await invocation.output.value(layer.chainId, {
    id: record.id,
    chainId: layer.chainId,
    diffId: layer.diffId,
    parent: layer.parent ?? null,
    names: record.names,
    size: chainSizeBytes,
    diffSize: layer.sizeBytes,
    blob: record.blob ?? null,
    archiveSize: layer.archiveBytes ?? null,
    uids: layer.uids ?? null,
    gids: layer.gids ?? null,
    droppedAttributes: layer.droppedAttributes ?? 0,
    metadata: record.metadata,
    flags: record.flags,
    bigData: record.bigData ?? [],
    created: record.created,
  });
}
