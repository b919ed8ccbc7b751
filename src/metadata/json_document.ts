// SPDX-License-Identifier: Apache-2.0
/**
 * JSON documents whose bytes matter, since their digest is their name.
 *
 * @module
 */
import * as v from "valibot";

/** A byte order mark is not skipped: no other reader of these documents does. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The document, as its schema gives it.
 * @throws {SyntaxError} whose message is a clause, such as `it is not JSON`
 */
export function parseJson<const S extends v.GenericSchema>(bytes: Uint8Array, schema: S): v.InferOutput<S> {
  const result = v.safeParse(schema, decode(bytes));
  if (result.success) return result.output;
  const issue = result.issues[0];
  const path = v.getDotPath(issue);
  throw new SyntaxError(path === null ? issue.message : `at "${path}": ${issue.message}`);
}

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new SyntaxError("it is not JSON in UTF-8", { cause });
  }
}
