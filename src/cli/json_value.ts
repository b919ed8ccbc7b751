// SPDX-License-Identifier: Apache-2.0
/**
 * JSON values as words of a command line (RFC 8259).
 *
 * @module
 */
import type { JsonValue } from "../../mod.ts";
import { UsageError } from "./errors.ts";

/**
 * A word as a JSON value.
 * @param what whose value it is, for the message
 * @throws {UsageError} when it is no JSON, or a number that could not be kept
 */
export function parseJsonValue(text: string, what: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text, refuseInfinity);
    return value;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`Cannot use ${JSON.stringify(text)} as the value of ${what}: ${reason}`, {
      hint: `It must be JSON: true, 12, {"a":[1]}, or a text in double quotes, as '${JSON.stringify(text)}'`,
      cause,
    });
  }
}

/** `JSON.parse` reads a number that is too large as infinity, which JSON cannot hold. */
function refuseInfinity(_key: string, value: unknown): unknown {
  if (value === Infinity || value === -Infinity) throw new SyntaxError("a number in it is too large");
  return value;
}
