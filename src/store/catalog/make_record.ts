// SPDX-License-Identifier: Apache-2.0
/**
 * Making records: of layers that are here, of layers that come with them, and of writable layers.
 *
 *   claim the id ─▶ take the diff in, make the writable layer ─▶ write lock: record ●
 *
 * What a crash leaves before ● is a layer that nothing needs, or a writable layer whose record never came; `recover` and
 * `gc` remove them.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { checkIdMappings, type IdMappings } from "../../core/id_map.ts";
import { parseRecordId, randomId, type RecordId } from "../../core/ids.ts";
import type { BlobInfo } from "../../metadata/blob_info.ts";
import type { CatalogRecord, JsonValue } from "../../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../../metadata/claims.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { type StoreContext, underLock } from "../context.ts";
import type { Layer } from "../layer.ts";
import type { StagedItem } from "./big_data.ts";
import { contentOf } from "./entry.ts";

/** What a new record says of itself. */
export interface CreateRecordOptions {
  /** The caller's id; random by default. */
  readonly id?: string;
  /** Its names; none may be another record's. */
  readonly names?: readonly string[];
  /** The caller's own text. */
  readonly metadata?: string;
  /** Whatever the caller wants to remember by keys. */
  readonly flags?: Readonly<Record<string, JsonValue>>;
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /** The blob that the layer came from, for information. */
  readonly blob?: BlobInfo;
}

/** What a record is to stand for. */
export interface RecordSubject {
  readonly target: CatalogRecord["target"];
  /** The record that lies below, where one was named. */
  readonly parent?: RecordId | undefined;
  readonly idMappings?: IdMappings | undefined;
  /** Data items that come with it, in files beside the store. */
  readonly data?: readonly StagedItem[];
}

/** The id of a record that is being made, until this is disposed of. */
export interface ClaimedId extends Disposable {
  readonly id: RecordId;
}

/**
 * Takes an id for a record to be made.
 * @throws {StrataError} `CONFLICT` when it is another record's, or is being made; `INVALID_ARGUMENT`
 */
export function claimId(context: StoreContext, id: string | undefined): ClaimedId {
  const parsed = id === undefined ? parseRecordId(randomId()) : parseId(id);
  context.dockerd.requireAbsent();
  const claim = context.claims.tryTake(recordClaim(parsed));
  if (claim === undefined || context.catalog.has(parsed)) {
    claim?.[Symbol.dispose]();
    throw taken("record", parsed);
  }
  return { id: parsed, [Symbol.dispose]: () => claim[Symbol.dispose]() };
}

/**
 * Publishes a record: the commit point. What it stands for must be there.
 * @throws {StrataError} `CONFLICT` when the id or a name is taken, `NOT_FOUND` for what it is to stand for, `INVALID_ARGUMENT`
 */
export async function publishRecord(
  context: StoreContext,
  id: RecordId,
  { target, parent, idMappings, data = [], ...options }: CreateRecordOptions & RecordSubject,
): Promise<CatalogRecord> {
  const { names = [], metadata = "", flags = {}, mountLabel, blob } = options;
  const maps = idMappings && checkIdMappings(idMappings);
  return await underLock(context, (lock) => {
    const layer = target.kind === "layer" ? context.layerDb.read(target.chainId) : undefined;
    requireMount(context, target);
    const record: CatalogRecord = {
      id,
      names,
      target,
      ...(parent === undefined ? {} : { parent }),
      created: new Date().toISOString(),
      metadata,
      flags,
      ...(mountLabel === undefined ? {} : { mountLabel }),
      ...(maps === undefined ? {} : { uidMap: maps.uids, gidMap: maps.gids }),
      ...(blob === undefined ? {} : { blob }),
      ...(layer === undefined ? {} : { content: contentOf(layer) }),
      ...(data.length === 0 ? {} : { bigData: data.map(({ item }) => item) }),
    };
    try {
      for (const { item: { digest }, path } of data) context.bigData.publish(lock, id, { path, digest });
      return context.catalog.create(lock, record);
    } catch (error) {
      if (data.length > 0) context.bigData.removeUnlisted(lock, id, []);
      throw error;
    }
  });
}

/** The blob that a record's layer came from: what was read now, which need not be what the layer itself came from first. */
export function ownBlob({ blob: first }: Layer, read: BlobInfo | undefined): BlobInfo | undefined {
  // The same bytes; the first time, more was found out about them.
  return read === undefined || read.digest === first?.digest ? first : read;
}

/**
 * Adds a record for a layer that is here.
 * @throws {StrataError} `CONFLICT` when the id or a name is taken, `NOT_FOUND` for the layer, `INVALID_ARGUMENT`
 */
export async function addRecord(
  context: StoreContext,
  chainId: ChainId,
  options: CreateRecordOptions,
): Promise<CatalogRecord> {
  using claimed = claimId(context, options.id);
  return await publishRecord(context, claimed.id, { ...options, target: { kind: "layer", chainId } });
}

/**
 * Refuses an id or names that are taken: before a long operation, not after it.
 * @throws {StrataError} `CONFLICT`, `INVALID_ARGUMENT`
 */
export function requireFree(
  { catalog }: Pick<StoreContext, "catalog">,
  { id, names = [] }: Pick<CreateRecordOptions, "id" | "names">,
): void {
  if (id !== undefined && catalog.has(parseId(id))) throw taken("record", id);
  for (const name of names) if (catalog.findByName(name) !== undefined) throw taken("name", name);
}

/**
 * The text as a record's id.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function parseId(text: string): RecordId {
  try {
    return parseRecordId(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError("INVALID_ARGUMENT", message, { argument: "id" }, { cause });
  }
}

function requireMount({ mounts }: StoreContext, target: CatalogRecord["target"]): void {
  const name: MountName | undefined = target.kind === "writable" ? target.mountName : target.view;
  if (name !== undefined) mounts.read(name);
}

function taken(kind: "record" | "name", name: string): StrataError {
  return new StrataError(
    "CONFLICT",
    `Cannot use ${kind === "record" ? "id" : "name"} "${name}": a record has it already; choose another`,
    { kind, name },
  );
}
