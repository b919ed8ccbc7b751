// SPDX-License-Identifier: Apache-2.0
/** What the tests of compression share. */
import { type DecompressOptions, type DecompressResult, decompressTo } from "../../src/compression/decompress.ts";
import { isStrataError } from "../../src/core/errors.ts";
import { concat } from "./zstd_writer.ts";

export interface Decompressed extends DecompressResult {
  readonly bytes: Uint8Array;
}

export async function decompressAll(
  chunks: Iterable<Uint8Array>,
  options: DecompressOptions = {},
): Promise<Decompressed> {
  const out: Uint8Array[] = [];
  const result = await decompressTo(later(chunks), (chunk) => void out.push(chunk), options);
  return { ...result, bytes: concat(out) };
}

/** The chunks of a source that takes its time. */
export async function* later(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield chunk;
  }
}

/** The bytes cut at the given places. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return sorted.map((to) => {
    const chunk = bytes.slice(from, to);
    from = to;
    return chunk;
  });
}

/** For `assert.rejects`: an archive refused while decompressing. */
export function isRefused(error: unknown): boolean {
  return isStrataError(error) && error.code === "INVALID_ARCHIVE" && error.detail.stage === "decompress";
}

/** Bytes that do not compress to nothing, the same each time. */
export function sampleBytes(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 16) & 0x3f;
  });
}
