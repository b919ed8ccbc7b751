// SPDX-License-Identifier: Apache-2.0
/**
 * What a user's word means: what a catalog record of this id or name stands for, a writable layer by its name, or a layer
 * by its ChainID, or a prefix of an id or a ChainID.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode, StrataError } from "../core/errors.ts";
import { type CacheId, parseRecordId, type RecordId } from "../core/ids.ts";
import type { CatalogRecord } from "../metadata/catalog/catalog_record.ts";
import { parseMountName } from "../metadata/mounts.ts";
import { attempt } from "../metadata/record_file.ts";
import type { ReadingContext } from "./reading.ts";
import type { MountTarget } from "./mount.ts";

/** What a word stands for. */
export type Target = MountTarget & {
  /** The catalog records meant: one for an id or a name, all of the layer's for a ChainID. */
  readonly recordIds: readonly RecordId[];
};

/**
 * Resolves a word. A record's own id and names come first, then the names of writable layers, then ChainIDs and prefixes.
 * @throws {StrataError} `NOT_FOUND`; `AMBIGUOUS` with the candidates; `CORRUPT` when what is meant is damaged
 */
export function resolveTarget(context: ReadingContext, ref: string): Target {
  const record = recordCalled(context, ref);
  if (record !== undefined) return targetOf(context, record);
  const writable = findWritable(context, ref);
  if (writable !== undefined) return writable;
  const { chainId, records } = context.catalog.resolve(ref, () => context.layerDb.chainIds());
  const [only, ...others] = records;
  if (only !== undefined && others.length === 0) return targetOf(context, only);
  if (chainId === undefined) {
    throw new StrataError("NOT_FOUND", `Cannot find "${ref}": its record stands for no layer`, { kind: "layer", ref });
  }
  return { kind: "layer", record: context.layerDb.read(chainId), recordIds: records.map(({ id }) => id) };
}

/**
 * What a catalog record stands for.
 * @throws {StrataError} `NOT_FOUND` when that is gone, `CORRUPT` when it is damaged
 */
export function targetOf({ layerDb, mounts }: ReadingContext, record: CatalogRecord): Target {
  const { id, target } = record;
  return target.kind === "layer"
    ? { kind: "layer", record: layerDb.read(target.chainId), recordIds: [id] }
    : { kind: "writable", record: mounts.read(target.mountName), recordIds: [id] };
}

/**
 * The layer that a word means, which must not be a writable one.
 * @throws {StrataError} `INVALID_ARGUMENT`
 */
export function requireChain(ref: string, target: MountTarget): ChainId {
  if (target.kind === "layer") return target.record.chainId;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use "${ref}" here: it is a writable layer; commit it first, and use the layer that makes`,
    { argument: ref },
  );
}

/** The directory of what was resolved. */
export function cacheIdOf(target: MountTarget): CacheId {
  return target.kind === "layer" ? target.record.cacheId : target.record.mountId;
}

/** The stack below what was resolved. */
export function parentOf(target: MountTarget): ChainId | undefined {
  return target.record.parent;
}

function recordCalled({ catalog }: ReadingContext, ref: string): CatalogRecord | undefined {
  const id = attempt(() => parseRecordId(ref));
  return id !== undefined && catalog.has(id) ? catalog.get(id) : catalog.findByName(ref);
}

function findWritable({ mounts }: ReadingContext, ref: string): Target | undefined {
  try {
    const record = mounts.read(parseMountName(ref));
    return { kind: "writable", record, recordIds: record.record === undefined ? [] : [record.record] };
  } catch (error) {
    if (hasCode(error, "NOT_FOUND") || hasCode(error, "INVALID_ARGUMENT")) return undefined;
    throw error;
  }
}
