// SPDX-License-Identifier: Apache-2.0
/**
 * One catalog record as a JSON document: what containers/storage keeps in `layers.json`, in a file of its own, so that
 * a change rewrites one small file and a torn one hides nothing else.
 *
 * @module
 */
import * as v from "valibot";
import { type ChainId, type DiffId, type Digest, parseChainId, parseDiffId, parseDigest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import type { IdMap, IdMappings } from "../../core/id_map.ts";
import { parseRecordId, type RecordId } from "../../core/ids.ts";
import { type BlobInfo, blobInfoSchema, countSchema, timeSchema } from "../blob_info.ts";
import { nameProblem } from "./catalog_name.ts";
import { type MountName, parseMountName } from "../mounts.ts";
import { isPlainRecord } from "./plain_record.ts";
import { attempt, corruptFile, keyed, parsedText, type ReadContext, readRecordJson } from "../record_file.ts";

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What a record stands for: a stack of layers, or a writable layer. */
export type RecordTarget =
  | {
    readonly kind: "layer";
    readonly chainId: ChainId;
    /** Its diff is still to come: until then it stands for a layer that changes nothing. */
    readonly awaits?: "diff";
    /** The writable layer through which it is mounted, where it is shown under ids of its own. Nobody writes to it. */
    readonly view?: MountName;
  }
  | { readonly kind: "writable"; readonly mountName: MountName };

/** A data item of a record. Its bytes lie in a file of their own. */
export interface BigDataItem {
  /** Whatever the caller calls it. */
  readonly key: string;
  /** Of its bytes. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * What a record repeats of its layer, so that a list of thousands reads one file each. A layer never changes (I2), so it
 * stays true; whether the layer is still there and sound, only the layer's own record tells.
 */
export interface RecordContent {
  /** Digest of the uncompressed tar. */
  readonly diffId: DiffId;
  /** The stack below; absent for a base layer. */
  readonly parent?: ChainId;
  /** Bytes of the layer alone, as its driver counted them when it was registered. */
  readonly sizeBytes: number;
  /** Bytes of the uncompressed tar; absent for layers that another tool registered. */
  readonly archiveBytes?: number;
}

/** What users know a layer by. Several records may stand for one stack. */
export interface CatalogRecord {
  /** Its own id; it never changes. */
  readonly id: RecordId;
  /** In the users' order, none twice. */
  readonly names: readonly string[];
  /** What it stands for. */
  readonly target: RecordTarget;
  /** The record that its maker named as the one below. It may be gone since; what lies below is the layers' to tell. */
  readonly parent?: RecordId;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** The caller's own text. */
  readonly metadata: string;
  /** Whatever a caller wants to remember by keys. */
  readonly flags: Readonly<Record<string, JsonValue>>;
  /** SELinux label of its mounts, unless one asks for another. */
  readonly mountLabel?: string;
  /** Under which user ids it is shown; absent: as the store keeps its layers. */
  readonly uidMap?: readonly IdMap[];
  /** Under which group ids; there if and only if {@link CatalogRecord.uidMap} is. */
  readonly gidMap?: readonly IdMap[];
  /** The blob that this record's layer came from: a memory, since the same layer compresses to other bytes elsewhere. */
  readonly blob?: BlobInfo;
  /** Of its layer; absent for writable layers, and in records of an earlier version. */
  readonly content?: RecordContent;
  /** In the order in which the keys were first set. */
  readonly bigData?: readonly BigDataItem[];
}

/** Anything that JSON can hold, of a document that `JSON.parse` gave: there is nothing else in it. */
export const jsonValue: v.GenericSchema<unknown, JsonValue> = v.custom<JsonValue>((input) => input !== undefined);

const idMapSchema = v.array(v.object({ containerId: countSchema, hostId: countSchema, size: countSchema }));
const recordSchema = v.object({
  schema: v.literal(1),
  id: parsedText(parseRecordId),
  names: v.array(v.pipe(v.string(), v.check((name) => nameProblem(name) === undefined, "it is no name"))),
  target: v.variant("kind", [
    v.object({
      kind: v.literal("layer"),
      chainId: parsedText(parseChainId),
      awaits: v.exactOptional(v.literal("diff")),
      view: v.exactOptional(parsedText(parseMountName)),
    }),
    v.object({ kind: v.literal("writable"), mountName: parsedText(parseMountName) }),
  ]),
  parent: v.exactOptional(parsedText(parseRecordId)),
  created: timeSchema,
  metadata: v.string(),
  flags: keyed(jsonValue),
  mountLabel: v.exactOptional(v.string()),
  uidMap: v.exactOptional(idMapSchema),
  gidMap: v.exactOptional(idMapSchema),
  blob: v.exactOptional(blobInfoSchema),
  content: v.exactOptional(v.object({
    diffId: parsedText(parseDiffId),
    parent: v.exactOptional(parsedText(parseChainId)),
    sizeBytes: countSchema,
    archiveBytes: v.exactOptional(countSchema),
  })),
  bigData: v.exactOptional(v.array(v.object({ key: v.string(), digest: parsedText(parseDigest), size: countSchema }))),
});

/**
 * The record in a file; `undefined` when there is no such file.
 * @throws {StrataError} `CORRUPT` when it is torn, malformed, or another record's
 */
export function readCatalogRecord(path: string, id: RecordId): CatalogRecord | undefined {
  const context: ReadContext = {
    action: `read catalog record "${id}"`,
    remedy: `remove it with "strata rm ${id}"; the layer itself is not affected`,
  };
  const document = readRecordJson(path, recordSchema, context);
  if (document === undefined) return undefined;
  const { schema: _schema, ...record } = document;
  if (record.id !== id) throw corruptFile(path, `holds the record of "${record.id}"`, context);
  return record;
}

/**
 * The record in a text, when it is one without anything out of the ordinary, as nearly all are; for all others
 * {@link readCatalogRecord} tells what it is, or what is wrong with it.
 */
export function plainRecordIn(text: string, id: RecordId): CatalogRecord | undefined {
  const document: unknown = attempt(() => JSON.parse(text));
  if (!isPlainRecord(document) || document.id !== id) return undefined;
  const { schema: _schema, ...record } = document;
  return record;
}

/**
 * A record as the text of its file. What the types promise is looked at once more: of what a differ or another program tells,
 * nobody has, and a record that cannot be read again would be as good as lost.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function catalogRecordText(record: CatalogRecord): string {
  const { id, names, target, parent, created, metadata, flags, mountLabel, uidMap, gidMap, ...rest } = record;
  const { blob, content, bigData } = rest;
  const document = { schema: 1, id, names, target, parent, created, metadata, flags, mountLabel, uidMap, gidMap };
  const text = exactJson(id, { ...document, blob, content, bigData });
  if (plainRecordIn(text, id) !== undefined) return text;
  const result = v.safeParse(recordSchema, JSON.parse(text));
  if (result.success) return text;
  const [issue] = result.issues;
  throw unfit(id, v.getDotPath(issue) ?? "record", issue.message);
}

/** JSON has no numbers but finite ones, and would hold `null` for the others. */
function exactJson(id: RecordId, document: object): string {
  try {
    return `${
      JSON.stringify(document, (_key, value: unknown) => {
        if (typeof value !== "number" || Number.isFinite(value)) return value;
        throw new TypeError(`JSON knows no ${value}`);
      })
    }\n`;
  } catch (cause) {
    throw unfit(id, "flags", cause instanceof Error ? cause.message : String(cause));
  }
}

function unfit(id: RecordId, field: string, problem: string): StrataError<"INVALID_ARGUMENT"> {
  const message =
    `Cannot write catalog record "${id}": its field "${field}" could not be read again: ${problem}; correct it`;
  return new StrataError("INVALID_ARGUMENT", message, { argument: field });
}

/** The writable layer that is a record's own: the one that it stands for, or is shown through. */
export function mountOf({ target }: CatalogRecord): MountName | undefined {
  return target.kind === "writable" ? target.mountName : target.view;
}

/** True for records that stand for this stack. */
export function standsFor(record: CatalogRecord, chainId: ChainId): boolean {
  return record.target.kind === "layer" && record.target.chainId === chainId;
}

/** The ids under which a record is shown; `undefined` when it has none of its own. */
export function mappingsOf({ uidMap, gidMap }: CatalogRecord): IdMappings | undefined {
  return uidMap === undefined || gidMap === undefined ? undefined : { uids: uidMap, gids: gidMap };
}

/** Oldest first. */
export function byAge(a: CatalogRecord, b: CatalogRecord): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
