// SPDX-License-Identifier: Apache-2.0
/**
 * Values as tables show them: short. Documents for programs have them whole.
 *
 * @module
 */
import prettyBytes from "pretty-bytes";

/** Characters of an id that people compare by eye. Docker's number. */
const ID_LENGTH = 12;
/** What stands for a value that is not known. */
const UNKNOWN = "-";

/** The beginning of an id or digest. */
export function idCell(id: string | null | undefined): string {
  return id?.replace(/^sha256:/, "").slice(0, ID_LENGTH) ?? UNKNOWN;
}

/** Bytes, in SI units. */
export function sizeCell(bytes: number | null | undefined): string {
  return bytes === null || bytes === undefined ? UNKNOWN : prettyBytes(bytes);
}

/** A time, to the second. */
export function dateCell(time: string | null | undefined): string {
  return time?.replace(/T(\d\d:\d\d:\d\d).*$/, " $1") ?? UNKNOWN;
}
