// SPDX-License-Identifier: Apache-2.0
/**
 * Sizes as people write them: `10g`, `1.5 GiB`, `4096`.
 *
 * The syntax is Docker's (go-units, `RAMInBytes`): a decimal number, at most one blank, and a unit of powers of 1024,
 * which may be `b`, or one of `k m g t p` alone, with `b` or with `ib`; the case does not matter. Fractions of a byte are
 * cut off.
 *
 * @module
 */
import { StrataError } from "./errors.ts";

const SIZE = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?) ?([^0-9. ]*)$/i;
const UNIT = /^(?:b|([kmgtp])(?:i?b)?)?$/i;
const POWERS = "kmgtp";

/**
 * The bytes that a size means.
 * @throws {StrataError} `INVALID_ARGUMENT` for what is no size, is negative, or cannot be counted exactly
 */
export function parseByteSize(text: string): number {
  const [, number, suffix = ""] = SIZE.exec(text) ?? [];
  if (number === undefined) throw invalid(text, "it is no number with a unit");
  const unit = UNIT.exec(suffix);
  if (unit === null) throw invalid(text, `the unit "${suffix}" is unknown`);
  const power = unit[1] === undefined ? 0 : POWERS.indexOf(unit[1].toLowerCase()) + 1;
  if (Number(number) < 0) throw invalid(text, "it is negative");
  const bytes = Math.trunc(Number(number) * 1024 ** power);
  if (!Number.isSafeInteger(bytes)) throw invalid(text, "it is too large");
  return Math.abs(bytes); // Not -0.
}

function invalid(text: string, reason: string): StrataError<"INVALID_ARGUMENT"> {
  return new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the size ${JSON.stringify(text)}: ${reason}; write it as "10g", "512m" or in bytes`,
    { argument: "size" },
  );
}
