// SPDX-License-Identifier: Apache-2.0
/**
 * A quick look at a record's document, for lists of thousands: nearly all records have the same few plain fields, and
 * checking those by hand takes a tenth of what the schema takes.
 *
 * Whatever passes here passes the schema as well and comes out of it the same; the schema judges the rest. So this may be
 * narrower than the schema, and never wider.
 *
 * @module
 */
import { type Digest, isDigest } from "../../core/digest.ts";
import { isRecordId } from "../../core/ids.ts";
import { nameProblem } from "./catalog_name.ts";
import type { CatalogRecord } from "./catalog_record.ts";

/** A record as its file has it. */
export type RecordDocument = { readonly schema: 1 } & CatalogRecord;

type Fields = { readonly [key: string]: unknown };

/** As `Date.toISOString` writes it. */
const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
/** Names that need no closer look. */
const PLAIN_NAME = /^[ -~]{1,255}$/;
const COMPRESSIONS: readonly unknown[] = ["none", "gzip", "zstd", "xz", "bzip2"];

const KEYS: ReadonlySet<string> = new Set(
  ["schema", "id", "names", "target", "parent", "created", "metadata", "flags", "mountLabel", "blob", "content"],
);
const TARGET_KEYS: ReadonlySet<string> = new Set(["kind", "chainId"]);
const BLOB_KEYS: ReadonlySet<string> = new Set(["digest", "size", "compression", "tocDigest"]);
const CONTENT_KEYS: ReadonlySet<string> = new Set(["diffId", "parent", "sizeBytes", "archiveBytes"]);

/** Whether this is the document of a layer's record without anything out of the ordinary. For what `JSON.parse` gives. */
export function isPlainRecord(document: unknown): document is RecordDocument {
  if (!hasOnly(document, KEYS)) return false;
  const { schema, id, names, target, parent, created, metadata, flags, mountLabel, blob, content } = document;
  return schema === 1 && isId(id) && Array.isArray(names) && names.every(isName) &&
    hasOnly(target, TARGET_KEYS) && target["kind"] === "layer" && isDigestText(target["chainId"]) &&
    isAbsentOr(parent, isId) &&
    typeof created === "string" && TIME.test(created) &&
    typeof metadata === "string" &&
    isEmptyObject(flags) &&
    isAbsentOr(mountLabel, isText) && isAbsentOr(blob, isBlob) && isAbsentOr(content, isContent);
}

function isBlob(value: unknown): boolean {
  return hasOnly(value, BLOB_KEYS) && isDigestText(value["digest"]) && isCount(value["size"]) &&
    COMPRESSIONS.includes(value["compression"]) && isAbsentOr(value["tocDigest"], isDigestText);
}

function isContent(value: unknown): boolean {
  return hasOnly(value, CONTENT_KEYS) && isDigestText(value["diffId"]) && isAbsentOr(value["parent"], isDigestText) &&
    isCount(value["sizeBytes"]) && isAbsentOr(value["archiveBytes"], isCount);
}

/** JSON knows no `undefined`: what is, is absent. */
function isAbsentOr(value: unknown, holds: (value: unknown) => boolean): boolean {
  return value === undefined || holds(value);
}

function hasOnly(value: unknown, keys: ReadonlySet<string>): value is Fields {
  return isObject(value) && Object.keys(value).every((key) => keys.has(key));
}

function isEmptyObject(value: unknown): boolean {
  return isObject(value) && Object.keys(value).length === 0;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): boolean {
  return typeof value === "string" && (PLAIN_NAME.test(value) || nameProblem(value) === undefined);
}

function isId(value: unknown): boolean {
  return typeof value === "string" && isRecordId(value);
}

function isDigestText(value: unknown): value is Digest {
  return typeof value === "string" && isDigest(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
