// SPDX-License-Identifier: Apache-2.0
/**
 * A layer on its way in, and what it must turn out to be.
 *
 * @module
 */
import type { LayerDescriptor } from "../core/descriptor.ts";
import type { DiffId, Digest } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { BlobInfo } from "../metadata/blob_info.ts";
import type { BlobFacts, BlobSource, ReadBlob } from "../worker/ingest.ts";

/** What a layer must turn out to be, and what is kept with it. */
export interface ExpectedLayer {
  readonly expectedDiffId?: DiffId;
  readonly expectedBlob?: { readonly digest: Digest; readonly sizeBytes?: number };
  /** Kept with the layer, if it is new. */
  readonly descriptor?: LayerDescriptor;
}

/** A layer to be taken in. */
export interface IncomingLayer extends ExpectedLayer {
  readonly source: BlobSource;
}

/** What a blob turned out to be, as records have it. */
export function blobInfoOf({ sizeBytes: size, ...facts }: BlobFacts): BlobInfo {
  return { ...facts, size };
}

/**
 * Refuses a layer that is not the expected one.
 * @throws {StrataError} `DIGEST_MISMATCH`
 */
export function requireExpected(
  { expectedBlob, expectedDiffId }: ExpectedLayer,
  { blob, diffId, archiveBytes }: ReadBlob,
): void {
  const { sizeBytes } = expectedBlob ?? {};
  if (expectedBlob !== undefined && expectedBlob.digest !== blob.digest) {
    throw mismatch("blob", { expected: expectedBlob.digest, actual: blob.digest, sizeBytes: blob.sizeBytes });
  }
  if (sizeBytes !== undefined && sizeBytes !== blob.sizeBytes) {
    const expected = `${sizeBytes} bytes`;
    throw mismatch("blob", { expected, actual: `${blob.sizeBytes} bytes`, sizeBytes: blob.sizeBytes });
  }
  if (expectedDiffId !== undefined && expectedDiffId !== diffId) {
    throw mismatch("uncompressed tar", { expected: expectedDiffId, actual: diffId, sizeBytes: archiveBytes });
  }
}

function mismatch(what: string, detail: { expected: string; actual: string; sizeBytes: number }): StrataError {
  return new StrataError(
    "DIGEST_MISMATCH",
    `Cannot register layer: the ${what} is ${detail.actual} after ${detail.sizeBytes} bytes, expected ${detail.expected}; ` +
      "fetch it again",
    detail,
  );
}
