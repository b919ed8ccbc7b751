// SPDX-License-Identifier: Apache-2.0
/**
 * XXH64 with seed 0, as far as zstd needs it: the low 32 bits. Specification: RFC 8878 section 3.1.1 refers to
 * xxHash, `doc/xxhash_spec.md`. Works on halves of 32 bits, since every `BigInt` is an allocation.
 *
 * @module
 */

const STRIPE_BYTES = 32;
/** The five primes, high and low half. */
const P1 = [0x9e3779b1, 0x85ebca87] as const;
const P2 = [0xc2b2ae3d, 0x27d4eb4f] as const;
const P3 = [0x165667b1, 0x9e3779f9] as const;
const P4 = [0x85ebca77, 0xc2b2ae63] as const;
const P5 = [0x27d4eb2f, 0x165667c5] as const;

/** The halves of the last 64-bit result; a shared place costs no allocation in the hot loop. */
let high = 0;
let low = 0;

/** Hashes what is written to it. */
export class Xxh64 {
  /** Four lanes, high and low half each. */
  readonly #lanes = new Int32Array(8);
  readonly #pending = new Uint8Array(STRIPE_BYTES);
  #pendingBytes = 0;
  #sizeBytes = 0;

  constructor() {
    add(...P1, ...P2);
    this.#setLane(0);
    this.#lanes[2] = P2[0];
    this.#lanes[3] = P2[1];
    add(~P1[0], ~P1[1], 0, 1);
    this.#setLane(3);
  }

  /** Takes the next bytes; they are not kept. */
  update(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.byteLength;
    let at = 0;
    if (this.#pendingBytes > 0) {
      at = Math.min(STRIPE_BYTES - this.#pendingBytes, chunk.byteLength);
      this.#pending.set(chunk.subarray(0, at), this.#pendingBytes);
      this.#pendingBytes += at;
      if (this.#pendingBytes < STRIPE_BYTES) return;
      this.#stripes(this.#pending);
      this.#pendingBytes = 0;
    }
    const whole = chunk.byteLength - (chunk.byteLength - at) % STRIPE_BYTES;
    this.#stripes(chunk.subarray(at, whole));
    this.#pending.set(chunk.subarray(whole));
    this.#pendingBytes = chunk.byteLength - whole;
  }

  /** The low 32 bits of the hash, unsigned. To be called once. */
  digestLow(): number {
    this.#mergeLanes();
    add(high, low, Math.floor(this.#sizeBytes / 2 ** 32), this.#sizeBytes);
    this.#tail();
    avalanche(33, P2);
    avalanche(29, P3);
    low ^= high;
    return low >>> 0;
  }

  #setLane(lane: number): void {
    this.#lanes[2 * lane] = high;
    this.#lanes[2 * lane + 1] = low;
  }

  #stripes(bytes: Uint8Array): void {
    const lanes = this.#lanes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.byteLength; at += 8) {
      const lane = (at >> 2) & 6;
      round(lanes[lane] ?? 0, lanes[lane + 1] ?? 0, view.getInt32(at + 4, LITTLE), view.getInt32(at, LITTLE));
      lanes[lane] = high;
      lanes[lane + 1] = low;
    }
  }

  #mergeLanes(): void {
    const lanes = this.#lanes;
    if (this.#sizeBytes < STRIPE_BYTES) {
      [high, low] = P5;
      return;
    }
    let sumHigh = 0, sumLow = 0;
    for (const [lane, shift] of [[0, 1], [2, 7], [4, 12], [6, 18]] as const) {
      rotateLeft(lanes[lane] ?? 0, lanes[lane + 1] ?? 0, shift);
      add(high, low, sumHigh, sumLow);
      sumHigh = high;
      sumLow = low;
    }
    for (let lane = 0; lane < 8; lane += 2) {
      round(0, 0, lanes[lane] ?? 0, lanes[lane + 1] ?? 0);
      multiply(high ^ sumHigh, low ^ sumLow, ...P1);
      add(high, low, ...P4);
      sumHigh = high;
      sumLow = low;
    }
  }

  #tail(): void {
    const view = new DataView(this.#pending.buffer, 0, this.#pendingBytes);
    let at = 0;
    for (; at + 8 <= view.byteLength; at += 8) {
      const [hashHigh, hashLow] = [high, low];
      round(0, 0, view.getInt32(at + 4, LITTLE), view.getInt32(at, LITTLE));
      mix(hashHigh ^ high, hashLow ^ low, { rotate: 27, times: P1, plus: P4 });
    }
    if (at + 4 <= view.byteLength) {
      const [hashHigh, hashLow] = [high, low];
      multiply(0, view.getInt32(at, LITTLE), ...P1);
      mix(hashHigh ^ high, hashLow ^ low, { rotate: 23, times: P2, plus: P3 });
      at += 4;
    }
    for (; at < view.byteLength; at++) {
      const [hashHigh, hashLow] = [high, low];
      multiply(0, view.getUint8(at), ...P5);
      mix(hashHigh ^ high, hashLow ^ low, { rotate: 11, times: P1, plus: [0, 0] });
    }
  }
}

const LITTLE = true;

type Halves = readonly [high: number, low: number];

/** One lane takes one word: `rotl(lane + word * P2, 31) * P1`. */
function round(laneHigh: number, laneLow: number, wordHigh: number, wordLow: number): void {
  multiply(wordHigh, wordLow, P2[0], P2[1]);
  add(high, low, laneHigh, laneLow);
  rotateLeft(high, low, 31);
  multiply(high, low, P1[0], P1[1]);
}

function mix(valueHigh: number, valueLow: number, step: { rotate: number; times: Halves; plus: Halves }): void {
  rotateLeft(valueHigh, valueLow, step.rotate);
  multiply(high, low, ...step.times);
  add(high, low, ...step.plus);
}

/** `value ^= value >>> shift`, then times a prime. */
function avalanche(shift: number, times: Halves): void {
  const shiftedLow = shift >= 32 ? high >>> (shift - 32) : (low >>> shift) | (high << (32 - shift));
  const shiftedHigh = shift >= 32 ? 0 : high >>> shift;
  multiply(high ^ shiftedHigh, low ^ shiftedLow, ...times);
}

function add(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const sum = (aLow >>> 0) + (bLow >>> 0);
  low = sum | 0;
  high = (aHigh + bHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
}

function rotateLeft(aHigh: number, aLow: number, shift: number): void {
  high = (aHigh << shift) | (aLow >>> (32 - shift));
  low = (aLow << shift) | (aHigh >>> (32 - shift));
}

/** The low 64 bits of a product. Only the product of the low halves needs more than `Math.imul`: its upper 32 bits. */
function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const a0 = aLow & 0xffff, a1 = aLow >>> 16, b0 = bLow & 0xffff, b1 = bLow >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const carry = (middle % 0x10000) + a0 * b1;
  const upper = a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
  high = (upper + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
  low = Math.imul(aLow, bLow);
}
