// SPDX-License-Identifier: Apache-2.0
/**
 * Small files of records: read with a bound, parsed with a schema, and refused with a message that names the file and
 * the remedy.
 *
 * @module
 */
import * as v from "valibot";
import { StrataError } from "../core/errors.ts";
import type { FileStat } from "../core/file_stat.ts";
import { JSON_BYTES_MAX } from "../core/limits.ts";
import { fromOsError } from "../host/errno.ts";
import { readText, statPath } from "../host/files.ts";

/** What is being read, for messages. */
export interface ReadContext {
  /** Completes "Cannot …", such as `read layer sha256:…`. */
  readonly action: string;
  /** What helps when the file is damaged. */
  readonly remedy: string;
}

/** The error for a damaged file: what, which file, what is wrong with it, what helps. */
export function corruptFile(path: string, problem: string, context: ReadContext & { cause?: unknown }): StrataError {
  return new StrataError(
    "CORRUPT",
    `Cannot ${context.action}: "${path}" ${problem}; ${context.remedy}`,
    { path },
    { cause: context.cause, hint: context.remedy },
  );
}

/**
 * What has a record's name; `undefined` when nothing has.
 * @throws {StrataError} the operating system's failure, such as `NOT_PERMITTED`
 */
export function typeAt(path: string): FileStat["type"] | undefined {
  try {
    return statPath(path)?.type;
  } catch (error) {
    throw fromOsError(error, `look for "${path}"`);
  }
}

/**
 * The text of a regular file; `undefined` when there is none.
 * @throws {StrataError} `CORRUPT` when it is no regular file or too long, else the operating system's failure
 */
export function readRecordText(path: string, context: ReadContext): string | undefined {
  try {
    const stat = statPath(path);
    if (stat === undefined) return undefined;
    if (stat.type !== "file") throw corruptFile(path, `is not a regular file but a ${stat.type}`, context);
    if (stat.size > JSON_BYTES_MAX) {
      throw corruptFile(path, `has ${stat.size} bytes, more than the ${JSON_BYTES_MAX} of any record`, context);
    }
    return readText(path);
  } catch (error) {
    throw fromOsError(error, context.action);
  }
}

/**
 * The document in a JSON file, as its schema gives it; `undefined` when there is no such file.
 * @throws {StrataError} `CORRUPT` when it is not JSON or does not fit the schema; as {@link readRecordText}
 */
export function readRecordJson<const S extends v.GenericSchema>(
  path: string,
  schema: S,
  context: ReadContext,
): v.InferOutput<S> | undefined {
  const text = readRecordText(path, context);
  if (text === undefined) return undefined;
  if (text.trim() === "") throw corruptFile(path, "is empty", context);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw corruptFile(path, "is not JSON", { ...context, cause });
  }
  const result = v.safeParse(schema, document);
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw corruptFile(path, `is refused at "${v.getDotPath(issue) ?? ""}": ${issue.message}`, context);
}

/** A document as the text of a file: one line. */
export function jsonText(document: object): string {
  return `${JSON.stringify(document)}\n`;
}

/** A schema for text that a parser of `core/` turns into a branded value. */
export function parsedText<T extends string>(parse: (text: string) => T): v.GenericSchema<unknown, T> {
  return v.pipe(
    v.string(),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        addIssue({ message: error instanceof Error ? error.message : String(error) });
        return NEVER;
      }
    }),
  );
}

/** A schema for an object with any keys: valibot's own leaves `constructor` and the like out, which are keys as any here. */
export function keyed<T>(value: v.GenericSchema<unknown, T>): v.GenericSchema<unknown, Readonly<Record<string, T>>> {
  return v.pipe(
    v.custom<object>(
      (input) => typeof input === "object" && input !== null && !Array.isArray(input),
      "expected an object",
    ),
    v.rawTransform<object, Readonly<Record<string, T>>>(({ dataset, addIssue, NEVER }) => {
      const entries: [string, T][] = [];
      for (const [key, member] of Object.entries(dataset.value)) {
        const result = v.safeParse(value, member);
        if (result.success) entries.push([key, result.output]);
        else addIssue({ message: `at ${JSON.stringify(key)}: ${result.issues[0].message}` });
      }
      return entries.length === Object.keys(dataset.value).length ? Object.fromEntries(entries) : NEVER;
    }),
  );
}

/** What a read gives; `undefined` when it fails. For what a damaged record still tells. */
export function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
