// SPDX-License-Identifier: Apache-2.0
/**
 * What a listing found that is not as it should be. One damaged file must not hide the others (I8), so listings
 * return findings where single reads throw.
 *
 * @module
 */
import { isStrataError, type StrataError } from "../core/errors.ts";
import { fromOsError } from "../host/errno.ts";

/**
 * How bad it is: `broken`: the thing cannot be used; `degraded`: it can, but something beside it is lost;
 * `stray`: it is nothing of this store's, and ignored.
 */
export type Severity = "broken" | "degraded" | "stray";

/** One thing that is not as it should be. */
export interface Finding {
  /** How bad it is. */
  readonly severity: Severity;
  /** What it concerns. */
  readonly kind: "layer" | "mount" | "record" | "name" | "image";
  /** Which one: a ChainID, a name, an id, or a file's name. */
  readonly subject: string;
  /** The file or directory at fault. */
  readonly path: string;
  /** What a read of the thing would throw; its message names the remedy. */
  readonly error: StrataError;
}

/** The failure as one of this package's errors. */
export function asStrataError(error: unknown, action: string): StrataError {
  return isStrataError(error) ? error : fromOsError(error, action);
}

/** The file that an error is about; `fallback` when it names none. */
export function pathOf(error: StrataError, fallback: string): string {
  const detail: object = error.detail;
  return "path" in detail && typeof detail.path === "string" ? detail.path : fallback;
}
