// SPDX-License-Identifier: Apache-2.0
/**
 * Observing the digest of what flows past. Nothing is held back, so back-pressure still reaches the source.
 *
 * @module
 */
import { type Digest, DigestWriter } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";

/** What a tap has seen. */
export interface DigestTapResult {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** A stage that observes, and what it saw once the stream has ended. */
export interface DigestTap {
  readonly stream: TransformStream<Uint8Array, Uint8Array>;
  /** @throws {Error} before the stream has ended */
  result(): DigestTapResult;
}

/** What {@link verifyingTap} demands. */
export interface Expectation {
  readonly expected: Digest;
  /** Bytes, when they are known. */
  readonly sizeBytes?: number;
  /** What flows, for the message: "blob" or "layer". */
  readonly what: string;
}

/** Hashes and counts what flows past. */
export function digestTap(): DigestTap {
  const writer = new DigestWriter();
  let result: DigestTapResult | undefined;
  const stream = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      writer.update(chunk);
      controller.enqueue(chunk);
    },
    flush() {
      result = { digest: writer.finish(), sizeBytes: writer.sizeBytes };
    },
  });
  return {
    stream,
    result() {
      if (result === undefined) throw new Error("Cannot read the digest: the stream has not ended");
      return result;
    },
  };
}

/**
 * Lets everything past and fails at the end, instead of ending, when it was not what was expected: with
 * `DIGEST_MISMATCH`. One that grows longer than it may be fails there and then; its surplus is not passed on.
 */
export function verifyingTap(expectation: Expectation): TransformStream<Uint8Array, Uint8Array> {
  const { expected, sizeBytes } = expectation;
  const writer = new DigestWriter();
  return new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      writer.update(chunk);
      if (sizeBytes !== undefined && writer.sizeBytes > sizeBytes) throw mismatch(expectation, writer);
      controller.enqueue(chunk);
    },
    flush() {
      if (sizeBytes !== undefined && writer.sizeBytes !== sizeBytes) throw mismatch(expectation, writer);
      const seen = writer.sizeBytes;
      const actual = writer.finish();
      if (actual !== expected) throw mismatchOf(expectation, { digest: actual, sizeBytes: seen });
    },
  });
}

function mismatch(expectation: Expectation, writer: DigestWriter): StrataError<"DIGEST_MISMATCH"> {
  return mismatchOf(expectation, { digest: writer.finish(), sizeBytes: writer.sizeBytes });
}

function mismatchOf(expectation: Expectation, seen: DigestTapResult): StrataError<"DIGEST_MISMATCH"> {
  const { expected, sizeBytes, what } = expectation;
  const wanted = sizeBytes === undefined ? expected : `${expected} of ${sizeBytes} bytes`;
  return new StrataError(
    "DIGEST_MISMATCH",
    `Cannot accept the ${what}: it is ${seen.digest} after ${seen.sizeBytes} bytes, expected ${wanted}; fetch it again`,
    { expected, actual: seen.digest, sizeBytes: seen.sizeBytes },
  );
}
