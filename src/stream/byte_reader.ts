// SPDX-License-Identifier: Apache-2.0
/**
 * Reading a stream by byte counts: for sniffing what it is, and for framed formats. Holds no more than was asked for
 * and the chunk it arrived in.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { chunksOf, streamOf } from "./pipe.ts";

/** Reads a stream, which it owns from then on. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  /** What has arrived and was not taken; never an empty chunk. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #offset = 0;
  #hasEnded = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#source = chunksOf(stream);
  }

  /** Bytes taken so far. */
  get offset(): number {
    return this.#offset;
  }

  /** The next `count` bytes, left in place; fewer at the end of the stream. */
  async peek(count: number): Promise<Uint8Array> {
    await this.#hold(count);
    if (this.#held.length > 1) this.#held = [concat(this.#held, this.#heldBytes)];
    return (this.#held[0] ?? new Uint8Array(0)).subarray(0, count);
  }

  /**
   * The next `count` bytes. The caller bounds `count`: this much is held in memory.
   * @throws {StrataError} `INVALID_ARCHIVE` when the stream ends before
   */
  async readExactly(count: number): Promise<Uint8Array> {
    const bytes = await this.peek(count);
    if (bytes.byteLength < count) throw this.#cutShort(count);
    this.#drop(count);
    return bytes;
  }

  /**
   * Passes over `count` bytes in bounded memory.
   * @throws {StrataError} `INVALID_ARCHIVE` when the stream ends before
   */
  async skip(count: number): Promise<void> {
    let left = count;
    while (left > 0) {
      await this.#hold(1);
      const first = this.#held[0];
      if (first === undefined) throw this.#cutShort(left);
      const step = Math.min(left, first.byteLength);
      this.#drop(step);
      left -= step;
    }
  }

  /** Everything that was not taken yet. The reader must not be used after this. */
  rest(): ReadableStream<Uint8Array> {
    return streamOf(() => ({ [Symbol.asyncIterator]: () => ({ next: () => this.#nextChunk() }) }), this.#source);
  }

  /** Gives up the rest of the stream. */
  async cancel(): Promise<void> {
    await this.#source.return?.();
  }

  async #nextChunk(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#hold(1);
    const first = this.#held[0];
    if (first === undefined) return { done: true, value: undefined };
    this.#drop(first.byteLength);
    return { done: false, value: first };
  }

  async #hold(count: number): Promise<void> {
    while (this.#heldBytes < count && !this.#hasEnded) {
      const next = await this.#source.next();
      if (next.done) {
        this.#hasEnded = true;
      } else if (next.value.byteLength > 0) {
        this.#held.push(next.value);
        this.#heldBytes += next.value.byteLength;
      }
    }
  }

  /** Takes `count` bytes away, which lie in the first chunk. */
  #drop(count: number): void {
    const [first, ...others] = this.#held;
    if (first === undefined) return;
    this.#held = count === first.byteLength ? others : [first.subarray(count), ...others];
    this.#heldBytes -= count;
    this.#offset += count;
  }

  #cutShort(missing: number): StrataError<"INVALID_ARCHIVE"> {
    const end = this.#offset + this.#heldBytes;
    return new StrataError(
      "INVALID_ARCHIVE",
      `Cannot read ${missing} bytes at offset ${this.#offset}: the stream ends at ${end}; fetch it again`,
      { stage: "source", offset: end },
    );
  }
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const joined = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}
