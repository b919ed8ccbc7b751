// SPDX-License-Identifier: Apache-2.0
/**
 * Contents of files on their way back into an archive, compared with what was recorded of them.
 *
 * @module
 */
import { display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { Crc64 } from "./crc64.ts";
import type { FileRecord } from "./record.ts";

/**
 * The content of a file record as it is read, compared with what the record says. When the last chunk comes out, size
 * and CRC have been found right; only bytes that are too many are found later.
 * @throws {StrataError} `CORRUPT` when the content is another one
 */
export function* checkedContent(record: FileRecord, content: Iterable<Uint8Array>): Generator<Uint8Array> {
  const crc = new Crc64();
  let size = 0;
  for (const chunk of content) {
    if (chunk.byteLength === 0) continue;
    size += chunk.byteLength;
    if (size > record.size) refuseContent(record, `more than ${record.size} bytes`, `${record.size} bytes`);
    crc.update(chunk);
    if (size === record.size) checkCrc(record, crc.finish());
    yield chunk;
  }
  if (size < record.size) refuseContent(record, `${size} bytes`, `${record.size} bytes`);
}

function checkCrc(record: FileRecord, actual: Uint8Array): void {
  const expected = hex(record.crc ?? new Uint8Array(0));
  if (hex(actual) !== expected) refuseContent(record, `CRC-64 ${hex(actual)}`, `CRC-64 ${expected}`);
}

function refuseContent(record: FileRecord, found: string, expected: string): never {
  const name = display(record.name);
  const message = `Cannot rebuild the layer's archive: file integrity check failed for "${name}": ` +
    `found ${found}, recorded are ${expected}; the layer's tree was modified, so fetch or build the layer again`;
  throw new StrataError("CORRUPT", message, { path: name });
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
