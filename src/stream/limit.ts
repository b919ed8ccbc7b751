// SPDX-License-Identifier: Apache-2.0
/**
 * Bounds on streams whose length nobody vouches for. Counting is synchronous and happens while bytes flow, so a bomb
 * is stopped after the first chunk too many.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import type { Limits } from "../core/limits.ts";

/** The bounds of one decompression. */
export type ExpansionLimits = Pick<Limits, "unpackedBytesMax" | "ratioMax">;

/** Output below this is not judged by its ratio: a small layer of zeros is no danger. */
export const RATIO_FREE_BYTES: number = 64 * 1024 * 1024;

/** Counts what goes into a decompression and what comes out, and says stop. */
export class ByteMeter {
  readonly #limits: ExpansionLimits;
  #inBytes = 0;
  #outBytes = 0;

  constructor(limits: ExpansionLimits) {
    this.#limits = limits;
  }

  /** Bytes that went in. */
  get inBytes(): number {
    return this.#inBytes;
  }

  /** Bytes that came out. */
  get outBytes(): number {
    return this.#outBytes;
  }

  /** Counts bytes that go in. */
  countIn(bytes: number): void {
    this.#inBytes += bytes;
  }

  /**
   * Counts bytes that come out.
   * @throws {StrataError} `LIMIT_EXCEEDED` for `unpackedBytesMax` or `ratioMax`
   */
  countOut(bytes: number): void {
    this.#outBytes += bytes;
    const { unpackedBytesMax, ratioMax } = this.#limits;
    if (this.#outBytes > unpackedBytesMax) throw limitExceeded("unpackedBytesMax", unpackedBytesMax);
    if (this.#outBytes > RATIO_FREE_BYTES && this.#outBytes > ratioMax * this.#inBytes) {
      throw limitExceeded("ratioMax", ratioMax);
    }
  }
}

/** A stage that fails with `LIMIT_EXCEEDED` once more than `max` bytes have come; `limit` names the bound. */
export function limitBytes(bound: { limit: string; max: number }): TransformStream<Uint8Array, Uint8Array> {
  let seen = 0;
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      seen += chunk.byteLength;
      if (seen > bound.max) throw limitExceeded(bound.limit, bound.max);
      controller.enqueue(chunk);
    },
  });
}

function limitExceeded(limit: string, max: number): StrataError<"LIMIT_EXCEEDED"> {
  return new StrataError(
    "LIMIT_EXCEEDED",
    `Cannot read on: the stream passes ${limit} (${max}); raise the limit if you trust where it comes from`,
    { limit, max },
  );
}
