// SPDX-License-Identifier: Apache-2.0
/**
 * An `AbortSignal` that other threads can see.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";

/** Made in the thread that has the signal; {@link AbortFlag.shared} is posted to the others. */
export class AbortFlag {
  readonly #cell: Int32Array<SharedArrayBuffer>;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#cell = new Int32Array(shared);
  }

  /** What other threads need to see the flag. */
  get shared(): SharedArrayBuffer {
    return this.#cell.buffer;
  }

  /** Raises the flag, for good. */
  raise(): void {
    Atomics.store(this.#cell, 0, 1);
  }

  /**
   * Stops whoever asks once the flag is up.
   * @throws {StrataError} `ABORTED`
   */
  check(): void {
    if (Atomics.load(this.#cell, 0) !== 0) throw aborted();
  }
}

/** The error of work that was called off by its signal. */
export function aborted(cause?: unknown): StrataError<"ABORTED"> {
  return new StrataError("ABORTED", "Cannot go on: the operation was aborted; nothing was left behind", {}, { cause });
}
