// SPDX-License-Identifier: Apache-2.0
/**
 * What the catalog refuses, and what it finds in its directory.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { JSON_BYTES_MAX } from "../../core/limits.ts";
import type { Finding } from "../finding.ts";

/** A record is read as a whole, also by those who list thousands. */
export function tooLarge(id: RecordId, bytes: number): StrataError {
  return new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot write catalog record "${id}": it would have ${bytes} bytes, and ${JSON_BYTES_MAX} is the most; keep ` +
      "large values as data items",
    { limit: "JSON_BYTES_MAX", max: JSON_BYTES_MAX },
  );
}

/** `NOT_FOUND`. */
export function recordNotFound(ref: string): StrataError {
  return new StrataError(
    "NOT_FOUND",
    `Cannot find catalog record "${
      ref.slice(0, 200)
    }": the store has none of this id or name; "strata layers" lists what there is`,
    { kind: "record", ref },
  );
}

/** `CONFLICT`. */
export function taken(kind: "record" | "name", name: string, why: string): StrataError {
  return new StrataError("CONFLICT", `Cannot use ${kind} "${name}": ${why}; choose another, or remove that one first`, {
    kind,
    name,
  });
}

/** A file that is no record. */
export function strayFile(file: string, path: string): Finding {
  const error = new StrataError(
    "CORRUPT",
    `Cannot read "${path}" as a catalog record: its name is not "<id>.json"; it is ignored, and may be removed by hand`,
    { path },
  );
  return { severity: "stray", kind: "record", subject: file, path, error };
}
