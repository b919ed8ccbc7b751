// SPDX-License-Identifier: Apache-2.0
/**
 * Inflating gzip members by the system's zlib, behind the same three calls as {@link ZlibPump}: chunks in, what comes of
 * them out. All output goes through one buffer, so memory does not depend on how much there is.
 *
 * @module
 */
import { CHUNK_BYTES } from "../core/limits.ts";
import { Inflater } from "../host/libz.ts";

/** Owns an inflater. */
export class GunzipPump {
  readonly #inflater: Inflater;
  readonly #output = new Uint8Array(new ArrayBuffer(CHUNK_BYTES));
  #consumedBytes = 0;
  #place: "before the first member" | "in a member" | "behind a member" = "before the first member";

  private constructor(inflater: Inflater) {
    this.#inflater = inflater;
  }

  /** A pump; `undefined` where the system has no zlib. */
  static open(): GunzipPump | undefined {
    const inflater = Inflater.open();
    return inflater === undefined ? undefined : new GunzipPump(inflater);
  }

  /** Bytes of input that were used; fewer than were fed when a NUL follows a member. */
  get consumedBytes(): number {
    return this.#consumedBytes;
  }

  /** Takes a chunk, gives what comes of it; each piece is valid until the next one is asked for. */
  *feed(chunk: Uint8Array): Generator<Uint8Array> {
    for (let at = 0, isFull = false; at < chunk.byteLength || isFull;) {
      if (this.#place === "behind a member") {
        if (chunk[at] === 0) return;
        this.#inflater.reset();
      }
      this.#place = "in a member";
      const { consumed, produced, state } = this.#inflater.inflate(chunk.subarray(at), this.#output);
      at += consumed;
      this.#consumedBytes += consumed;
      if (state === "end") this.#place = "behind a member";
      // With the output full there may be more to come, although the input is used up.
      isFull = produced === this.#output.byteLength && state === "more";
      if (produced > 0) yield this.#output.subarray(0, produced);
    }
  }

  /**
   * Ends the input.
   * @throws {Error} in the middle of a member
   */
  finish(): Iterable<Uint8Array> {
    if (this.#place !== "behind a member") throw new Error("unexpected end of file");
    return [];
  }

  /** Frees the native memory. */
  destroy(): void {
    this.#inflater[Symbol.dispose]();
  }
}
