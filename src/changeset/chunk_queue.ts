// SPDX-License-Identifier: Apache-2.0
/**
 * Joins what a push-style producer gives in small pieces into full chunks that a generator can yield.
 *
 * @module
 */
import { CHUNK_BYTES } from "../core/limits.ts";

/** Bytes in, chunks of 1 MiB out. Every chunk is a buffer of its own; only the last may be shorter. */
export class ChunkQueue {
  readonly #full: Uint8Array<ArrayBuffer>[] = [];
  #current = new Uint8Array(CHUNK_BYTES);
  #filled = 0;

  /** Takes a copy of the bytes. */
  push(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length;) {
      const piece = bytes.subarray(offset, offset + CHUNK_BYTES - this.#filled);
      this.#current.set(piece, this.#filled);
      this.#filled += piece.length;
      offset += piece.length;
      if (this.#filled === CHUNK_BYTES) this.#turn();
    }
  }

  /** Hands out the chunks that are full. */
  *full(): Generator<Uint8Array<ArrayBuffer>> {
    for (let chunk = this.#full.shift(); chunk !== undefined; chunk = this.#full.shift()) yield chunk;
  }

  /** Hands out everything, at the end. */
  *rest(): Generator<Uint8Array<ArrayBuffer>> {
    yield* this.full();
    if (this.#filled > 0) yield this.#current.subarray(0, this.#filled);
    this.#filled = 0;
  }

  #turn(): void {
    this.#full.push(this.#current);
    this.#current = new Uint8Array(CHUNK_BYTES);
    this.#filled = 0;
  }
}
