// SPDX-License-Identifier: Apache-2.0
/**
 * Sparse members on their way through the reader: from the header to a complete map, which may take further blocks.
 *
 * @module
 */
import type { Limits } from "../core/limits.ts";
import type { SparseExtent, TarEntry } from "./entry.ts";
import { type GnuSparsePart, parseSparseBlock, parseSparseHeader } from "./gnu.ts";
import type { TarHeader } from "./header.ts";
import { BLOCK_BYTES, TYPE } from "./layout.ts";
import { refuse, refuseBeyond } from "./refuse.ts";
import { type SparsePlace, sparseRecords, withSparseMap } from "./sparse.ts";

/** A member whose map is known or not needed, or what reads the rest of the map first. */
export type SparseStart = { readonly entry: TarEntry } | { readonly map: SparseMapReader };

/**
 * The member, with its sparse map if it has one.
 * @throws {StrataError} `INVALID_ARCHIVE`, `LIMIT_EXCEEDED` when the map is malformed, said in part or too large
 */
export function startSparse(
  entry: TarEntry,
  { header, block, limits }: { header: TarHeader; block: Uint8Array; limits: Limits },
): SparseStart {
  const place = { offset: entry.offset, entry: entry.name, limits };
  const records = sparseRecords(entry.pax, place);
  if (header.typeFlag === TYPE.gnuSparse) {
    // star has a sparse header of another layout under the same flag.
    if (header.format !== "gnu") refuse("a sparse member's header is not in GNU format", place);
    if (records !== undefined) refuse("a member has two kinds of sparse map", place);
    return startGnu(entry, parseSparseHeader(block, entry.offset), place);
  }
  if (records === undefined) return { entry };
  if (entry.type !== "file") refuse("a member that is not a file is sparse", place);
  const draft = { ...entry, name: records.name ?? entry.name, size: records.realSize };
  if (records.extents !== undefined) return { entry: withSparseMap(draft, records.extents, place) };
  return { map: new SparseMapReader(draft, new PaxMap(place), place) };
}

/** Takes the blocks of a map that does not fit the header. */
export class SparseMapReader {
  readonly #draft: TarEntry;
  readonly #map: BlockMap;
  readonly #place: SparsePlace;
  #bytes = 0;

  /** @ignore */
  constructor(draft: TarEntry, map: BlockMap, place: SparsePlace) {
    this.#draft = draft;
    this.#map = map;
    this.#place = place;
  }

  /**
   * Takes the next block. Gives the member once its map is complete.
   * @throws {StrataError} `INVALID_ARCHIVE`, `LIMIT_EXCEEDED` when the map is malformed or too large
   */
  push(block: Uint8Array): TarEntry | undefined {
    this.#bytes += BLOCK_BYTES;
    // Blocks need not bring pieces, so counting pieces alone would let a map go on for ever (CVE-2025-58183).
    if (this.#bytes > this.#place.limits.extensionBytesMax) refuseBeyond("extensionBytesMax", this.#place);
    const storedSize = this.#draft.storedSize - (this.#map.isPayload ? this.#bytes : 0);
    if (storedSize < 0) refuse("a sparse map passes the payload that it is part of", this.#place);
    const extents = this.#map.push(block);
    return extents === undefined ? undefined : withSparseMap({ ...this.#draft, storedSize }, extents, this.#place);
  }
}

/** A map that comes in blocks. */
interface BlockMap {
  /** True when the blocks are the head of the payload. */
  readonly isPayload: boolean;
  /** Takes the next block; gives the pieces when it was the last. */
  push(block: Uint8Array): readonly SparseExtent[] | undefined;
}

function startGnu(entry: TarEntry, first: GnuSparsePart & { realSize: number }, place: SparsePlace): SparseStart {
  const draft = { ...entry, size: first.realSize };
  if (!first.continues) return { entry: withSparseMap(draft, first.extents, place) };
  return { map: new SparseMapReader(draft, new GnuMap(first.extents, place.offset), place) };
}

/** The blocks behind an old GNU sparse header. */
class GnuMap implements BlockMap {
  readonly isPayload = false;
  readonly #extents: SparseExtent[];
  readonly #offset: number;

  constructor(extents: readonly SparseExtent[], offset: number) {
    this.#extents = [...extents];
    this.#offset = offset;
  }

  push(block: Uint8Array): readonly SparseExtent[] | undefined {
    const part = parseSparseBlock(block, this.#offset);
    this.#extents.push(...part.extents);
    return part.continues ? undefined : this.#extents;
  }
}

const NEWLINE = 0x0a;
const ZERO = 0x30;

/** The decimal lines that open a payload in PAX sparse format 1.0; what is left of the last block is padding. */
class PaxMap implements BlockMap {
  readonly isPayload = true;
  readonly #place: SparsePlace;
  readonly #extents: SparseExtent[] = [];
  /** Pieces to come in all, once the first line said so. */
  #count: number | undefined;
  #offset: number | undefined;
  #value = 0;
  #hasDigits = false;

  constructor(place: SparsePlace) {
    this.#place = place;
  }

  push(block: Uint8Array): readonly SparseExtent[] | undefined {
    for (const byte of block) {
      if (byte === NEWLINE) this.#endLine();
      else this.#addDigit(byte - ZERO);
      if (this.#extents.length === this.#count) return this.#extents;
    }
    return undefined;
  }

  #addDigit(digit: number): void {
    this.#value = this.#value * 10 + digit;
    this.#hasDigits = true;
    if (digit < 0 || digit > 9 || this.#value > Number.MAX_SAFE_INTEGER) this.#refuseLine();
  }

  #endLine(): void {
    if (!this.#hasDigits) this.#refuseLine();
    const value = this.#value;
    this.#value = 0;
    this.#hasDigits = false;
    if (this.#count === undefined) {
      if (value > this.#place.limits.sparseExtentsMax) refuseBeyond("sparseExtentsMax", this.#place);
      this.#count = value;
    } else if (this.#offset === undefined) {
      this.#offset = value;
    } else {
      this.#extents.push({ offset: this.#offset, length: value });
      this.#offset = undefined;
    }
  }

  #refuseLine(): never {
    refuse("a sparse map has a line that is not a number in range", this.#place);
  }
}
