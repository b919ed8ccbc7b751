// SPDX-License-Identifier: Apache-2.0
/**
 * A file's content as chunks.
 *
 * @module
 */
import { CHUNK_BYTES } from "../core/limits.ts";
import type { OpenFile } from "./open_file.ts";

/** Which part of a file is read; all of it by default. Bytes. */
export interface ChunkRange {
  readonly offset?: number;
  readonly length?: number;
}

/**
 * The content from `offset` on, in chunks of at most 1 MiB, each in a buffer of its own. The file is closed at the
 * end, also when the caller stops early.
 * @throws {OsError}
 */
export function* readChunks(file: OpenFile, range: ChunkRange = {}): Generator<Uint8Array<ArrayBuffer>> {
  const end = range.length === undefined ? Infinity : (range.offset ?? 0) + range.length;
  try {
    for (let position = range.offset ?? 0; position < end;) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, end - position, chunkFor(file, position)));
      const count = file.readAt(chunk, position);
      if (count === 0) return;
      position += count;
      yield chunk.subarray(0, count);
    }
  } finally {
    file.close();
  }
}

/** What is left of the file, and one byte to see its end: most files are far smaller than a chunk. */
function chunkFor(file: OpenFile, position: number): number {
  return Math.max(1, file.stat().size - position + 1);
}
