// SPDX-License-Identifier: Apache-2.0
/**
 * One catalog record as a JSON document: what containers/storage keeps in `layers.json`, in a file of its own, so that
 * a change rewrites one small file and a torn one hides nothing else.
 *
 * @module
 */
import * as v from "valibot";
import { type ChainId, parseChainId } from "../../core/digest.ts";
import { parseRecordId, type RecordId } from "../../core/ids.ts";
import { type BlobInfo, blobInfoSchema, timeSchema } from "../blob_info.ts";
import { nameProblem } from "./catalog_name.ts";
import { type MountName, parseMountName } from "../mounts.ts";
import { corruptFile, jsonText, parsedText, type ReadContext, readRecordJson } from "../record_file.ts";

/** What JSON can hold. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What a record stands for: a stack of layers, or a writable layer. */
export type RecordTarget =
  | { readonly kind: "layer"; readonly chainId: ChainId }
  | { readonly kind: "writable"; readonly mountName: MountName };

/** What users know a layer by. Several records may stand for one stack. */
export interface CatalogRecord {
  /** Its own id; it never changes. */
  readonly id: RecordId;
  /** In the users' order, none twice. */
  readonly names: readonly string[];
  /** What it stands for. */
  readonly target: RecordTarget;
  /** ISO 8601, UTC. */
  readonly created: string;
  /** The caller's own text. */
  readonly metadata: string;
  /** Whatever a caller wants to remember by keys. */
  readonly flags: Readonly<Record<string, JsonValue>>;
  /** The blob that this record's layer came from. */
  readonly blob?: BlobInfo;
}

const jsonValue: v.GenericSchema<unknown, JsonValue> = v.lazy(() =>
  v.union([
    v.null(),
    v.boolean(),
    v.number(),
    v.string(),
    v.array(jsonValue),
    v.record(v.string(), jsonValue),
  ])
);

const recordSchema = v.object({
  schema: v.literal(1),
  id: parsedText(parseRecordId),
  names: v.array(v.pipe(v.string(), v.check((name) => nameProblem(name) === undefined, "it is no name"))),
  target: v.variant("kind", [
    v.object({ kind: v.literal("layer"), chainId: parsedText(parseChainId) }),
    v.object({ kind: v.literal("writable"), mountName: parsedText(parseMountName) }),
  ]),
  created: timeSchema,
  metadata: v.string(),
  flags: v.record(v.string(), jsonValue),
  blob: v.exactOptional(blobInfoSchema),
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

/** A record as the text of its file. */
export function catalogRecordText(record: CatalogRecord): string {
  const { id, names, target, created, metadata, flags, blob } = record;
  return jsonText({ schema: 1, id, names, target, created, metadata, flags, blob });
}

/** True for records that stand for this stack. */
export function standsFor(record: CatalogRecord, chainId: ChainId): boolean {
  return record.target.kind === "layer" && record.target.chainId === chainId;
}
