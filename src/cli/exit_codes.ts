// SPDX-License-Identifier: Apache-2.0
/**
 * Exit codes: what a script can tell from a failure. The one mapping from the library's error codes.
 *
 * @module
 */
import type { AnyStrataError, ErrorCode } from "../../mod.ts";

/** By name. 128 and a signal's number are added by `signals.ts`. */
export const EXIT = {
  ok: 0,
  negative: 1,
  usage: 2,
  notFound: 3,
  conflict: 4,
  refused: 5,
  noSpace: 6,
  unsupported: 7,
  /** `EX_SOFTWARE` of sysexits(3). */
  internal: 70,
} as const;

/** What each code says, for help and manual. */
export const EXIT_MEANINGS: ReadonlyMap<number, string> = new Map([
  [EXIT.ok, "success"],
  [EXIT.negative, "a negative answer: it does not exist, or damage was found"],
  [EXIT.usage, "wrong usage"],
  [EXIT.notFound, "not found, or a prefix that fits several"],
  [EXIT.conflict, "a name is taken, something is in use, or another process holds the lock"],
  [EXIT.refused, "corrupt or refused input, or a damaged store"],
  [EXIT.noSpace, "no space left"],
  [EXIT.unsupported, "not permitted, not supported here, or refused by the system"],
  [EXIT.internal, "a fault of strata itself"],
  [130, "ended by SIGINT"],
  [143, "ended by SIGTERM"],
]);

const BY_ERROR_CODE: Readonly<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: EXIT.usage,
  NOT_A_PARENT: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  AMBIGUOUS: EXIT.notFound,
  CONFLICT: EXIT.conflict,
  IN_USE: EXIT.conflict,
  LOCKED: EXIT.conflict,
  NOT_RETAINED: EXIT.conflict,
  MAX_DEPTH: EXIT.refused,
  DIGEST_MISMATCH: EXIT.refused,
  INVALID_ARCHIVE: EXIT.refused,
  LIMIT_EXCEEDED: EXIT.refused,
  CORRUPT: EXIT.refused,
  NO_SPACE: EXIT.noSpace,
  NOT_PERMITTED: EXIT.unsupported,
  NOT_SUPPORTED: EXIT.unsupported,
  IO: EXIT.unsupported,
  ABORTED: 130,
};

/** The exit code for an error of the library. */
export function exitCodeOf(error: AnyStrataError): number {
  if (error.code === "IO" && error.detail.errno === "ENOENT") return EXIT.notFound;
  return BY_ERROR_CODE[error.code];
}
