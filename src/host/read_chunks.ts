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
export function readChunks(file: OpenFile, range: ChunkRange = {}): Generator<Uint8Array<ArrayBuffer>> {
  return chunksInto(file, range, (bytes) => new Uint8Array(bytes));
}

/**
 * As {@link readChunks}, all chunks in one buffer: each is valid until the next one is asked for.
 * @throws {OsError}
 */
export function lendChunks(file: OpenFile, range: ChunkRange = {}): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  return chunksInto(file, range, (bytes) => buffer.subarray(0, bytes));
}

function* chunksInto(
  file: OpenFile,
  { offset = 0, length = Infinity }: ChunkRange,
  bufferOf: (bytes: number) => Uint8Array<ArrayBuffer>,
): Generator<Uint8Array<ArrayBuffer>> {
  const end = offset + length;
  try {
    for (let position = offset; position < end;) {
      const chunk = bufferOf(Math.min(CHUNK_BYTES, end - position, bytesLeft(file, position)));
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
function bytesLeft(file: OpenFile, position: number): number {
  return Math.max(1, file.stat().size - position + 1);
}
