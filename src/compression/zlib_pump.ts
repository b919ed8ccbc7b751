// SPDX-License-Identifier: Apache-2.0
/**
 * A `node:zlib` stream driven by hand: one chunk in, everything that comes of it out. Input and output alternate in
 * one flow of control, so nothing is read ahead, no error is lost between two loops, and closing early closes all.
 *
 * @module
 */
import type { Transform } from "node:stream";

/** A zlib stream; `bytesWritten` is what it has consumed. */
export type ZlibStream = Transform & { readonly bytesWritten: number };

/** Owns a zlib stream. */
export class ZlibPump {
  readonly #stream: ZlibStream;
  #error: Error | undefined;
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(stream: ZlibStream) {
    this.#stream = stream;
    stream.on("readable", () => this.#wake());
    stream.on("end", () => {
      this.#hasEnded = true;
      this.#wake();
    });
    stream.on("error", (error: Error) => {
      this.#error = error;
      this.#wake();
    });
  }

  /** Bytes of input that were consumed; fewer than were fed once the format has ended. */
  get consumedBytes(): number {
    return this.#stream.bytesWritten;
  }

  /** Takes a chunk, gives what comes of it. */
  async *feed(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
    let isTaken = false;
    this.#stream.write(chunk, () => {
      isTaken = true;
      this.#wake();
    });
    yield* this.#outputUntil(() => isTaken);
  }

  /** Ends the input, gives what was still inside. */
  async *finish(): AsyncGenerator<Uint8Array> {
    this.#stream.end();
    yield* this.#outputUntil(() => this.#hasEnded);
  }

  /** Frees the native memory. */
  destroy(): void {
    this.#stream.destroy();
  }

  async *#outputUntil(isDone: () => boolean): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const chunk: Uint8Array | null = this.#stream.read();
      if (chunk !== null) yield chunk;
      else if (isDone()) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
