// SPDX-License-Identifier: Apache-2.0
/**
 * Puts together what straddles chunks.
 *
 * @module
 */

/** Bytes of a known number that may come in pieces: a view when one piece has them all, else a copy. */
export class Gather {
  #copy = new Uint8Array(0);
  #wanted = 0;
  #held = 0;

  /** Begins anew, for so many bytes. */
  expect(bytes: number): void {
    this.#wanted = bytes;
    this.#held = 0;
  }

  /** Bytes that came. */
  get held(): number {
    return this.#held;
  }

  /** Bytes still to come. */
  get missing(): number {
    return this.#wanted - this.#held;
  }

  /**
   * Takes a piece of at most `missing` bytes. Gives all the bytes with the last piece; they are valid until the next
   * call.
   */
  add(piece: Uint8Array): Uint8Array | undefined {
    if (piece.length === this.#wanted) return piece;
    if (this.#copy.length < this.#wanted) this.#copy = new Uint8Array(this.#wanted);
    this.#copy.set(piece, this.#held);
    this.#held += piece.length;
    return this.missing === 0 ? this.#copy.subarray(0, this.#wanted) : undefined;
  }
}
