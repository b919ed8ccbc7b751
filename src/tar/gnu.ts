// SPDX-License-Identifier: Apache-2.0
/**
 * What GNU tar had before PAX: long names in members of their own, and sparse maps in the header. GNU tar manual,
 * "Basic Tar Format", "Extensions to Basic Tar" and "Old GNU Format".
 *
 * @module
 */
import { type ByteString, fromBytes } from "../core/bytes.ts";
import type { SparseExtent } from "./entry.ts";
import { parseNumber } from "./header.ts";
import { FIELD, type Field, GNU_SPARSE_BLOCK, GNU_SPARSE_PIECE_BYTES } from "./layout.ts";

const NUMBER_BYTES = GNU_SPARSE_PIECE_BYTES / 2;

/** The name in the body of an `L` or `K` member: up to the first NUL. */
export function parseLongName(body: Uint8Array): ByteString {
  const end = body.indexOf(0);
  return fromBytes(end < 0 ? body : body.subarray(0, end));
}

/** A stretch of an old GNU sparse map: what one block holds of it. */
export interface GnuSparsePart {
  readonly extents: readonly SparseExtent[];
  /** Another block of the map follows. */
  readonly continues: boolean;
}

/**
 * The beginning of the map, in the header of an `S` member.
 * @throws {StrataError} `INVALID_ARCHIVE` when a number is junk
 */
export function parseSparseHeader(block: Uint8Array, offset: number): GnuSparsePart & { readonly realSize: number } {
  return {
    extents: parsePieces(block, FIELD.gnuSparse, offset),
    continues: block[FIELD.gnuIsExtended.at] !== 0,
    realSize: parseNumber(block, FIELD.gnuRealSize, offset),
  };
}

/**
 * The next part of the map, in a block of its own.
 * @throws {StrataError} `INVALID_ARCHIVE` when a number is junk
 */
export function parseSparseBlock(block: Uint8Array, offset: number): GnuSparsePart {
  return {
    extents: parsePieces(block, GNU_SPARSE_BLOCK.pieces, offset),
    continues: block[GNU_SPARSE_BLOCK.isExtended.at] !== 0,
  };
}

/** Pieces stand from the left; the first without an offset ends them, as in GNU tar. */
function parsePieces(block: Uint8Array, field: Field, offset: number): SparseExtent[] {
  const extents: SparseExtent[] = [];
  for (let at = field.at; at < field.at + field.length && block[at] !== 0; at += GNU_SPARSE_PIECE_BYTES) {
    extents.push({
      offset: parseNumber(block, { label: "sparse offset", at, length: NUMBER_BYTES }, offset),
      length: parseNumber(block, { label: "sparse length", at: at + NUMBER_BYTES, length: NUMBER_BYTES }, offset),
    });
  }
  return extents;
}
