// SPDX-License-Identifier: Apache-2.0
/**
 * Sparse files in PAX records. GNU tar manual, "Storing Sparse Files".
 *
 *   0.0  pairs of GNU.sparse.offset and GNU.sparse.numbytes (joined to a map by pax.ts)
 *   0.1  GNU.sparse.map=offset,length,…
 *   1.0  the map opens the payload: decimal lines, in whole blocks: count, offset, length, offset, length, …
 *
 * A reader that misses any of this takes the condensed payload for the file, so everything half-said is refused.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { Limits } from "../core/limits.ts";
import type { SparseExtent, TarEntry } from "./entry.ts";
import { parsePaxInteger, PAX_KEY, type PaxRecords } from "./pax.ts";
import { type Place, refuse, refuseBeyond } from "./refuse.ts";

/** What the records of a sparse member say. */
export interface SparseRecords {
  /** The member's true name; absent in format 0.0, whose header has it. */
  readonly name: ByteString | undefined;
  /** Bytes of the file, holes included. */
  readonly realSize: number;
  /** The pieces; `undefined` when the map opens the payload. */
  readonly extents: readonly SparseExtent[] | undefined;
}

/** Where a map stands, and the bounds on it. */
export interface SparsePlace extends Place {
  readonly limits: Limits;
}

const PREFIX = "GNU.sparse.";
const KNOWN_KEYS: ReadonlySet<ByteString> = new Set([
  PAX_KEY.sparseMajor,
  PAX_KEY.sparseMinor,
  PAX_KEY.sparseName,
  PAX_KEY.sparseSize,
  PAX_KEY.sparseRealSize,
  PAX_KEY.sparseNumBlocks,
  PAX_KEY.sparseMap,
]);

/**
 * What the records say about sparseness; `undefined` when they say nothing.
 * @throws {StrataError} `INVALID_ARCHIVE` when they say it only in part, or in a version unknown here;
 * `LIMIT_EXCEEDED` for too many pieces
 */
export function sparseRecords(records: PaxRecords, place: SparsePlace): SparseRecords | undefined {
  let isSparse = false;
  for (const key of records.keys()) {
    if (!key.startsWith(PREFIX)) continue;
    if (!KNOWN_KEYS.has(key)) refuse("a GNU.sparse record is of an unknown kind", place);
    isSparse = true;
  }
  if (!isSparse) return undefined;
  const name = records.get(PAX_KEY.sparseName);
  return {
    name: name === "" ? undefined : name,
    realSize: realSizeOf(records, place),
    extents: hasMapInPayload(records, place) ? undefined : mapInRecords(records, place),
  };
}

/**
 * A sparse member with its map applied: pieces in order, apart, inside the file, and as long together as the payload.
 * Empty pieces, with which GNU tar marks the end, are dropped.
 * @throws {StrataError} `INVALID_ARCHIVE` when the map breaks these rules, `LIMIT_EXCEEDED` for too many pieces
 */
export function withSparseMap(entry: TarEntry, extents: readonly SparseExtent[], place: SparsePlace): TarEntry {
  if (extents.length > place.limits.sparseExtentsMax) refuseBeyond("sparseExtentsMax", place);
  let end = 0;
  let stored = 0;
  for (const extent of extents) {
    if (extent.offset < end || extent.length < 0 || extent.offset + extent.length > entry.size) {
      refuse("the pieces of a sparse file overlap, are out of order or pass its end", place);
    }
    end = extent.offset + extent.length;
    stored += extent.length;
  }
  if (stored !== entry.storedSize) {
    refuse(`the pieces of a sparse file have ${stored} bytes, its payload has ${entry.storedSize}`, place);
  }
  return { ...entry, sparse: extents.filter((extent) => extent.length > 0) };
}

function hasMapInPayload(records: PaxRecords, place: Place): boolean {
  const major = records.get(PAX_KEY.sparseMajor);
  const minor = records.get(PAX_KEY.sparseMinor);
  if (major === "1" && minor === "0") return true;
  // Formats 0.0 and 0.1 came before the version records.
  if (major === undefined && minor === undefined) return false;
  if (major === "0" && (minor === "0" || minor === "1")) return false;
  refuse("a GNU.sparse map is of an unknown version", place);
}

function realSizeOf(records: PaxRecords, place: Place): number {
  const sizes = [PAX_KEY.sparseSize, PAX_KEY.sparseRealSize].flatMap((key) => records.get(key) ?? []);
  const size = sizes[0];
  if (size === undefined || sizes.some((other) => other !== size)) {
    refuse("GNU.sparse records do not give one size", place);
  }
  return mapNumber(size, place);
}

function mapInRecords(records: PaxRecords, place: SparsePlace): SparseExtent[] {
  const map = records.get(PAX_KEY.sparseMap);
  const count = records.get(PAX_KEY.sparseNumBlocks);
  if (count === undefined || (map === undefined && count !== "0")) refuse("GNU.sparse records give no map", place);
  const numbers = map === undefined || map === "" ? [] : map.split(",");
  if (numbers.length !== 2 * mapNumber(count, place)) refuse("GNU.sparse.numblocks does not count the map", place);
  if (numbers.length > 2 * place.limits.sparseExtentsMax) refuseBeyond("sparseExtentsMax", place);
  const extents: SparseExtent[] = [];
  for (let i = 0; i < numbers.length; i += 2) {
    extents.push({ offset: mapNumber(numbers[i]!, place), length: mapNumber(numbers[i + 1]!, place) });
  }
  return extents;
}

function mapNumber(text: string, place: Place): number {
  const value = parsePaxInteger(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  refuse("a GNU.sparse record is not a number in range", place);
}
