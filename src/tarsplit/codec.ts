// SPDX-License-Identifier: Apache-2.0
/**
 * tar-split files as text: one JSON object per record.
 *
 *   {"type":2,"payload":"<base64>","position":0}                          segment
 *   {"type":1,"name":"etc/hosts","size":9,"payload":"<crc>","position":1} file
 *   {"type":1,"name_raw":"<base64>","payload":null,"position":3}          file whose name is not UTF-8, without content
 *
 * Written is what tar-split writes, to the byte: its order of fields and Go's escapes (those of Go before 1.22, which
 * every reader takes). Read is what Go's decoder takes: JSON values one after the other with any white space, unknown
 * fields, names of fields in any case.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ByteString, fromBytes, fromText, toBytes, toText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { SPLIT_RECORD_BYTES_MAX } from "../core/limits.ts";
import { ByteBuffer } from "./byte_buffer.ts";
import type { FileRecord, SplitRecord } from "./record.ts";

const FILE = 1;
const SEGMENT = 2;
const CRC_BYTES = 8;

/** The line of a record, its LF included. `position` counts the records of the file from 0. */
export function encodeRecord(record: SplitRecord, position: number): string {
  if (record.type === "segment") {
    return `{"type":${SEGMENT},"payload":"${base64(record.payload)}","position":${position}}\n`;
  }
  const size = record.size === 0 ? "" : `"size":${record.size},`;
  const payload = record.crc === undefined ? "null" : `"${base64(record.crc)}"`;
  return `{"type":${FILE},${nameFields(record.name)}${size}"payload":${payload},"position":${position}}\n`;
}

/** How {@link RecordDecoder} names what it reads. */
export interface DecodeOptions {
  /** The file, for messages. */
  readonly path?: string;
}

/**
 * The records of a tar-split file that comes in pieces, however they are cut.
 * @throws {StrataError} as {@link RecordDecoder}
 */
export function* decodeRecords(chunks: Iterable<Uint8Array>, options: DecodeOptions = {}): Generator<SplitRecord> {
  const decoder = new RecordDecoder(options);
  for (const chunk of chunks) yield* decoder.push(chunk);
  decoder.end();
}

/**
 * Reads records from bytes as they come.
 * @throws {StrataError} `CORRUPT` for what is no tar-split record, `LIMIT_EXCEEDED` for one that is too long
 */
export class RecordDecoder {
  readonly #path: string;
  readonly #buffer = new ByteBuffer();
  #position = 0;
  /** Where the value that is being read begins, and how far it was looked at. */
  #start = 0;
  #scanned = 0;
  /** Objects and arrays that are open; 0 between values. */
  #depth = 0;
  #inString = false;

  constructor(options: DecodeOptions = {}) {
    this.#path = options.path ?? "tar-split.json.gz";
  }

  /** Takes the next bytes; returns the records that they complete. */
  push(bytes: Uint8Array): SplitRecord[] {
    this.#buffer.append(bytes);
    const data = this.#buffer.view();
    const records: SplitRecord[] = [];
    while (this.#findValue(data)) {
      const record = this.#parse(data.subarray(this.#start, this.#scanned));
      if (record !== undefined) records.push(record);
      this.#position++;
      this.#start = this.#scanned;
    }
    this.#buffer.drop(this.#start);
    this.#scanned -= this.#start;
    this.#start = 0;
    if (this.#buffer.length > SPLIT_RECORD_BYTES_MAX) this.#refuseLength();
    return records;
  }

  /** To be called after the last bytes. */
  end(): void {
    if (this.#depth > 0) this.#refuse("the file ends inside the record");
  }

  /** Scans on; true when `#start` to `#scanned` is a whole value. */
  #findValue(data: Uint8Array): boolean {
    while (this.#scanned < data.length) {
      if (this.#inString) {
        // Nearly all of a file is base64 in strings, so they are skipped by the engine's own search.
        const quote = data.indexOf(QUOTE, this.#scanned);
        this.#scanned = quote < 0 ? data.length : quote + 1;
        this.#inString = quote < 0 || isEscaped(data, quote);
        continue;
      }
      const byte = data[this.#scanned++]!;
      if (this.#depth === 0) {
        this.#start = this.#scanned - 1;
        if (byte === OPEN_BRACE) this.#depth = 1;
        else if (isSpace(byte)) this.#start = this.#scanned;
        else this.#refuse("it does not begin with an opening brace");
      } else if (byte === QUOTE) this.#inString = true;
      else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
      else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --this.#depth === 0) return true;
    }
    return false;
  }

  /** The record of one JSON text; `undefined` for a type that this version does not know, as in the reference. */
  #parse(text: Uint8Array): SplitRecord | undefined {
    const fields = this.#fields(text);
    if (fields.type === SEGMENT) return { type: "segment", payload: this.#bytesOf(fields.payload) };
    if (fields.type === FILE) return this.#fileRecord(fields);
    if (!Number.isSafeInteger(fields.type)) this.#refuse(`"type" is not a whole number`);
    return undefined;
  }

  #fileRecord(fields: Fields): FileRecord {
    const size = fields.size ?? 0;
    if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
      this.#refuse(`"size" is not a number of bytes`);
    }
    const crc = size === 0 ? undefined : this.#bytesOf(fields.payload);
    if (crc !== undefined && crc.byteLength !== CRC_BYTES) this.#refuse(`"payload" is not a CRC of ${CRC_BYTES} bytes`);
    return { type: "file", name: this.#nameOf(fields), size, crc };
  }

  #nameOf(fields: Fields): ByteString {
    const raw = this.#bytesOf(fields.name_raw);
    if (raw.byteLength > 0) return fromBytes(raw);
    const name = fields.name ?? "";
    if (typeof name !== "string") this.#refuse(`"name" is not a string`);
    return fromText(name);
  }

  #bytesOf(value: unknown): Uint8Array {
    if (value === undefined || value === null) return new Uint8Array(0);
    const bytes = typeof value === "string" ? fromBase64(value) : undefined;
    return bytes ?? this.#refuse("a field is not base64");
  }

  /** The known fields of an object. The case of their names does not matter; the last of two wins; `null` is nothing. */
  #fields(text: Uint8Array): Fields {
    let value: unknown;
    try {
      value = JSON.parse(strictUtf8.decode(text));
    } catch (cause) {
      this.#refuse("it is not JSON", cause);
    }
    const fields: Fields = { type: 0 };
    for (const [key, field] of Object.entries(value ?? {})) {
      const name = key.toLowerCase();
      if (isFieldName(name) && field !== null) fields[name] = field;
    }
    return fields;
  }

  #refuse(why: string, cause?: unknown): never {
    const message = `Cannot read record ${this.#position} of "${this.#path}": ${why}; ` +
      `the file is damaged, so the layer must be fetched or built again`;
    throw new StrataError("CORRUPT", message, { path: this.#path }, { cause });
  }

  #refuseLength(): never {
    const max = SPLIT_RECORD_BYTES_MAX;
    const message = `Cannot read record ${this.#position} of "${this.#path}": it is longer than ${max} bytes`;
    throw new StrataError("LIMIT_EXCEEDED", message, { limit: "SPLIT_RECORD_BYTES_MAX", max });
  }
}

/** What an object may say, not checked yet. */
interface Fields {
  type: unknown;
  name?: unknown;
  name_raw?: unknown;
  size?: unknown;
  payload?: unknown;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
// deno-lint-ignore no-control-regex -- control characters are what it looks for
const ESCAPED = /[\u0000-\u001f"\\<>&\u2028\u2029]/g;
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};
const NOT_BASE64 = /[^A-Za-z0-9+/]/;

function nameFields(name: ByteString): string {
  if (name === "") return "";
  const text = toText(name);
  return text === undefined ? `"name_raw":"${base64(toBytes(name))}",` : `"name":"${escape(text)}",`;
}

function escape(text: string): string {
  return text.replace(ESCAPED, (c) => SHORT_ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** The bytes; `undefined` when the text is not padded base64 of the standard alphabet, which `Buffer` would not mind. */
function fromBase64(text: string): Uint8Array | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  if (text.length % 4 !== 0 || NOT_BASE64.test(text.slice(0, text.length - padding))) return undefined;
  const bytes = Buffer.from(text, "base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isFieldName(name: string): name is keyof Fields {
  return name === "type" || name === "name" || name === "name_raw" || name === "size" || name === "payload";
}

function isEscaped(data: Uint8Array, quote: number): boolean {
  let first = quote;
  while (data[first - 1] === BACKSLASH) first--;
  return (quote - first) % 2 === 1;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
