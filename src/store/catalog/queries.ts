// SPDX-License-Identifier: Apache-2.0
/**
 * Looking records up. The store's own come first; one in a root that is only read is hidden by one of the same id before it.
 *
 * @module
 */
import type { Digest } from "../../core/digest.ts";
import { hasCode } from "../../core/errors.ts";
import type { CatalogRecord } from "../../metadata/catalog/catalog_record.ts";
import type { Finding } from "../../metadata/finding.ts";
import { archiveBytesOf } from "../../tarsplit/survey.ts";
import { readTarSplit } from "../../worker/tar_split_file.ts";
import { readableRecord } from "../chains.ts";
import type { StoreContext } from "../context.ts";
import { type CatalogEntry, entriesOf, type EntryListing } from "./entry.ts";
import { findRecord, type FoundRecord } from "./find_record.ts";

/** All records that can be read, and which of the store's own cannot. */
export function listEntries(context: StoreContext): EntryListing {
  const { found, findings } = allRecords(context);
  return { entries: entriesOf(context, found), findings };
}

/** The records of which something holds. */
export function entriesWhere(context: StoreContext, holds: (record: CatalogRecord) => boolean): CatalogEntry[] {
  return entriesOf(context, allRecords(context).found.filter(({ record }) => holds(record)));
}

/** Records of all roots, and what is damaged. */
export interface RecordsFound {
  /** The store's own first, then those of roots that are only read. An id comes once. */
  readonly found: readonly FoundRecord[];
  /** Of the store's own. */
  readonly findings: readonly Finding[];
  /** Of roots that are only read. */
  readonly furtherFindings: readonly Finding[];
}

/** All records that can be read. */
export function allRecords(context: StoreContext): RecordsFound {
  const { records, findings } = context.catalog.list();
  const further: (readonly Finding[])[] = [];
  const found: FoundRecord[] = records.map((record) => ({ record }));
  const ids = context.readOnlyRoots.length === 0 ? new Set<string>() : new Set<string>(records.map(({ id }) => id));
  for (const root of context.readOnlyRoots) {
    const listing = root.reading.catalog.list();
    further.push(listing.findings);
    for (const record of listing.records) {
      if (!ids.has(record.id)) found.push({ record, root });
      ids.add(record.id);
    }
  }
  return { found, findings, furtherFindings: further.flat() };
}

/**
 * Whether a word means a record.
 * @throws {StrataError} `AMBIGUOUS`, `CORRUPT`
 */
export function recordExists(context: StoreContext, ref: string): boolean {
  try {
    findRecord(context, ref);
    return true;
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return false;
    throw error;
  }
}

/**
 * Bytes of a record's uncompressed tar; `undefined` for a writable layer, which has none.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
 */
export async function archiveSize(context: StoreContext, ref: string): Promise<number | undefined> {
  const { record, root } = findRecord(context, ref);
  if (record.target.kind !== "layer") return undefined;
  const { chainId } = record.target;
  const { layerDb } = root?.reading ?? context;
  return record.content?.archiveBytes ?? layerDb.read(chainId).archiveBytes ??
    archiveBytesOf(await readTarSplit(layerDb.tarSplitPath(chainId)));
}

/** The DiffID of a record's layer, as the record or the layer tells. */
export function diffIdOf(context: StoreContext, { target, content }: CatalogRecord): Digest | undefined {
  if (content !== undefined || target.kind !== "layer") return content?.diffId;
  return readableRecord(context, target.chainId)?.diffId;
}
