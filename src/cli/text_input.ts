// SPDX-License-Identifier: Apache-2.0
/**
 * Text and bytes from standard input or from a file, for what is no archive.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { OptionSpec } from "./command.ts";
import { UsageError } from "./errors.ts";
import type { Invocation } from "./invocation.ts";
import { loadStrata } from "./strata.ts";

/** The word for standard input and standard output. */
export const STANDARD = "-";
/** Bytes of a text that is read: a record, which is to hold it, is refused long before. */
const TEXT_BYTES_MAX = 2 ** 26;

/** Where to read from. */
export function fileOption(summary: string): OptionSpec {
  return { name: "file", short: "f", value: "FILE", summary };
}

/**
 * Opens what a word names: a file, or standard input.
 * @param what it is, for the message
 * @throws {UsageError} for a terminal
 * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `INVALID_ARGUMENT` for a directory
 */
export async function openInput({ io }: Invocation, file: string, what: string): Promise<ReadableStream<Uint8Array>> {
  if (file !== STANDARD) return (await (await loadStrata()).openFileStream(file)).stream;
  if (io.stdin.terminal === "no") return io.stdin.open();
  throw new UsageError(`Cannot read ${what} from a terminal`, { hint: "Name a file with -f, or pipe it in" });
}

/**
 * Reads text, every character of it.
 * @throws {UsageError} when it is no text, or too much
 */
export async function readText(stream: ReadableStream<Uint8Array>, what: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > TEXT_BYTES_MAX) {
      throw new UsageError(`Cannot use ${what}: it has more than ${TEXT_BYTES_MAX} bytes`, HINT);
    }
    chunks.push(chunk);
  }
  const text = textOf(Buffer.concat(chunks));
  if (text === undefined) throw new UsageError(`Cannot use ${what}: it is no UTF-8 text`, HINT);
  return text;
}

const HINT = { hint: 'Keep bytes as a data item, with "strata data set"' };

/** Bytes as the text that they are, a byte order mark included; `undefined` when they are none. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
