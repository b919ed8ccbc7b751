// SPDX-License-Identifier: Apache-2.0
/**
 * Digests: content addresses, and the one place that computes them (I4: `node:crypto` is imported here only).
 *
 * Grammar: image-spec `descriptor.md`, "Digests"; only sha256 is produced and accepted.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";

/** @internal */
declare const brand: unique symbol;
/** @internal */
type Brand<T, B extends string> = T & { readonly [brand]: { readonly [K in B]: true } };

/** `sha256:` and 64 lower-case hex digits. */
export type Digest = Brand<string, "Digest">;
/** Digest of one layer's whole uncompressed tar, trailing bytes included. */
export type DiffId = Brand<Digest, "DiffId">;
/** Digest that names a stack of layers, bottom to top. */
export type ChainId = Brand<Digest, "ChainId">;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * The text as a digest.
 * @throws {SyntaxError} when it is not `sha256:` and 64 lower-case hex digits
 */
export function parseDigest(text: string): Digest {
  if (!DIGEST.test(text)) {
    throw new SyntaxError(
      `Cannot parse digest "${text.slice(0, 100)}": expected "sha256:" and 64 lower-case hex digits`,
    );
  }
  return text as Digest;
}

/** Whether a text is a digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** Whether a text is the digest of a stack, as far as its form tells. */
export function isChainId(text: string): text is ChainId {
  return DIGEST.test(text);
}

/**
 * The text as the digest of an uncompressed layer.
 * @throws {SyntaxError} as {@link parseDigest}
 */
export function parseDiffId(text: string): DiffId {
  return parseDigest(text) as DiffId;
}

/**
 * The text as the digest of a stack.
 * @throws {SyntaxError} as {@link parseDigest}
 */
export function parseChainId(text: string): ChainId {
  return parseDigest(text) as ChainId;
}

/** The 64 hex digits, without the algorithm. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** Computes the sha256 of what is written to it, and counts it. */
export class DigestWriter {
  readonly #hash: Hash = createHash("sha256");
  #sizeBytes = 0;

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Takes the next bytes; they are not kept. */
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.byteLength;
  }

  /** The digest of everything written. To be called once. */
  finish(): Digest {
    return `sha256:${this.#hash.digest("hex")}` as Digest;
  }
}

/** The digest of some bytes, or of a text's UTF-8 form. */
export function digestOf(content: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(content).digest("hex")}` as Digest;
}
