// SPDX-License-Identifier: Apache-2.0
/**
 * CRC-64/ISO: the check of file contents in a tar-split file.
 *
 * Polynomial x^64 + x^4 + x^3 + x + 1, reflected, register preset to ones and complemented at the end; the result is
 * written big endian (ISO 3309; Go's `hash/crc64.ISO`, which tar-split uses).
 *
 * The polynomial has five terms, so that no table is needed. Multiplying the register by x^64, which is what eight
 * bytes of input ask for, is multiplying it by x^4 + x^3 + x + 1: three shifts. What overflows is of degree 3 at
 * most and is multiplied once more. Every payload byte of every layer passes here: this form does 1.5 to 2.2 GB/s on
 * both runtimes, against 2.0 to 2.3 GB/s of the same loop in WebAssembly.
 *
 * @module
 */

/** Computes the CRC-64 of what is written to it. */
export class Crc64 {
  /** The register's halves, as signed 32-bit integers. Reflected: the lowest bit of `#low` has the highest degree. */
  #high = -1;
  #low = -1;

  /** Takes the next bytes; they are not kept. */
  update(bytes: Uint8Array): this {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const wordsEnd = bytes.byteLength & ~7;
    let high = this.#high;
    let low = this.#low;
    for (let i = 0; i < wordsEnd; i += 8) {
      const a = low ^ view.getInt32(i, true);
      const b = high ^ view.getInt32(i + 4, true);
      const overflow = (a << 31) ^ (a << 29) ^ (a << 28);
      low = a ^ ((a >>> 1) | (b << 31)) ^ ((a >>> 3) | (b << 29)) ^ ((a >>> 4) | (b << 28));
      high = timesTaps(b) ^ timesTaps(overflow);
    }
    for (let i = wordsEnd; i < bytes.byteLength; i++) {
      const overflow = ((low ^ view.getUint8(i)) & 0xff) << 24;
      low = (low >>> 8) | (high << 24);
      high = (high >>> 8) ^ timesTaps(overflow);
    }
    this.#high = high;
    this.#low = low;
    return this;
  }

  /** The CRC of everything written: 8 bytes, big endian. Writing may go on afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const crc = new Uint8Array(8);
    const view = new DataView(crc.buffer);
    view.setInt32(0, ~this.#high);
    view.setInt32(4, ~this.#low);
    return crc;
  }
}

/** The CRC of some bytes: 8 bytes, big endian. */
export function crc64(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Crc64().update(bytes).finish();
}

/** The register's upper half times x^4 + x^3 + x + 1; what is shifted into the lower half is the caller's. */
function timesTaps(half: number): number {
  return half ^ (half >>> 1) ^ (half >>> 3) ^ (half >>> 4);
}
