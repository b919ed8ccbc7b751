// SPDX-License-Identifier: Apache-2.0
/**
 * JSON values as words of a command line (RFC 8259).
 *
 * @module
 */
import type { JsonValue } from "../../mod.ts";
import { UsageError } from "./errors.ts";

/** Words that are most likely meant as they stand. */
const PLAIN = /^[\p{L}\p{N} .,:/@+-]+$/u;

/**
 * A word as a JSON value.
 * @param what whose value it is, for the message
 * @throws {UsageError} when it is no JSON, or a number that could not be kept
 */
export function parseJsonValue(text: string, what: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text, requireExact);
    return value;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`Cannot use ${JSON.stringify(text)} as the value of ${what}: ${reason}`, {
      hint: PLAIN.test(text)
        ? `A text is given with its double quotes, as '"${text}"'`
        : `It must be JSON, such as true, 12, '"text"' or '{"a":[1]}'`,
      cause,
    });
  }
}

/** `JSON.parse` reads a number that is too large as infinity, which JSON cannot hold, or as another near it. */
function requireExact(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  if (!Number.isFinite(value)) throw new SyntaxError("a number in it is too large");
  if (Number.isInteger(value)) throw new SyntaxError("a whole number in it is too large to be kept digit for digit");
  return value;
}
