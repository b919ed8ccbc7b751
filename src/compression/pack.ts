// SPDX-License-Identifier: Apache-2.0
/**
 * Chunks of an even size. Decoders give views of buffers that they go on using, and small ones too; the stages that
 * follow hash, split and transfer chunks, which wants large ones that own their buffer.
 *
 * @module
 */
import { CHUNK_BYTES } from "../core/limits.ts";

/**
 * The same bytes in chunks of 1 MiB, the last one excepted, each owning its whole buffer. All are copied, which is little
 * next to decompressing them: a decoder may lend the same 1 MiB again and again.
 */
export async function* packChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let pending = new Uint8Array(0);
  let pendingBytes = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.byteLength;) {
      if (pendingBytes === 0) pending = new Uint8Array(CHUNK_BYTES);
      const step = Math.min(CHUNK_BYTES - pendingBytes, chunk.byteLength - at);
      pending.set(chunk.subarray(at, at + step), pendingBytes);
      pendingBytes += step;
      at += step;
      if (pendingBytes < CHUNK_BYTES) continue;
      pendingBytes = 0;
      yield pending;
    }
  }
  if (pendingBytes > 0) yield pending.slice(0, pendingBytes);
}
