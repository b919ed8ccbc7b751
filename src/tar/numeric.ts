// SPDX-License-Identifier: Apache-2.0
/**
 * Numbers in header fields: octal text, and the binary form ("base-256") for what octal cannot hold. GNU tar manual,
 * "Basic Tar Format" and "Extensions".
 *
 * Parsing is liberal where Go's archive/tar is (leading and trailing spaces and NULs, a field without any digit is 0)
 * and strict elsewhere; no regular expression sees a byte of an archive.
 *
 * @module
 */
import type { Field } from "./layout.ts";

const NUL = 0x00;
const SPACE = 0x20;
const ZERO = 0x30;
const SEVEN = 0x37;

/**
 * The number in a field, octal or binary. `NaN` for junk, an infinity for a value that a `number` cannot hold exactly.
 */
export function parseNumeric(block: Uint8Array, field: Field): number {
  return (block[field.at]! & 0x80) === 0 ? parseOctal(block, field) : parseBase256(block, field);
}

/** The number in a field of octal digits, between any spaces and NULs. `NaN` for anything else. */
export function parseOctal(block: Uint8Array, field: Field): number {
  let start = field.at;
  let end = field.at + field.length;
  while (start < end && isBlank(block[start]!)) start++;
  while (end > start && isBlank(block[end - 1]!)) end--;
  let value = 0;
  for (let i = start; i < end; i++) {
    const byte = block[i]!;
    if (byte === NUL) break; // what a writer left behind its terminator is not part of the number
    if (byte < ZERO || byte > SEVEN) return NaN;
    value = value * 8 + (byte - ZERO);
  }
  return value;
}

/** The largest number that octal digits and a terminator can express in a field. */
export function octalMax(field: Field): number {
  return 8 ** (field.length - 1) - 1;
}

/** True when a field can hold the value as octal digits and a terminator. */
export function fitsOctal(value: number, field: Field): boolean {
  return value >= 0 && value <= octalMax(field);
}

/** Writes octal digits, zero-padded, and a NUL. The value must fit. */
export function putOctal(block: Uint8Array, field: Field, value: number): void {
  let rest = value;
  for (let i = field.at + field.length - 2; i >= field.at; i--) {
    block[i] = ZERO + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  block[field.at + field.length - 1] = NUL;
}

/** Two's complement, big endian, with the top bit as the mark of the form and the next one as the sign. */
function parseBase256(block: Uint8Array, field: Field): number {
  const first = block[field.at]!;
  const isNegative = (first & 0x40) !== 0;
  const flip = isNegative ? 0xff : 0;
  let value = (first ^ flip) & 0x7f;
  for (let i = field.at + 1; i < field.at + field.length; i++) value = value * 256 + (block[i]! ^ flip);
  if (value >= Number.MAX_SAFE_INTEGER) return isNegative ? -Infinity : Infinity;
  return isNegative ? -1 - value : value;
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === NUL;
}
