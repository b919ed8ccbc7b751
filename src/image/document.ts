// SPDX-License-Identifier: Apache-2.0
/**
 * The JSON documents of a saved image: bounded, parsed, and compared with their digests before anything is believed.
 *
 * @module
 */
import type * as v from "valibot";
import { type Digest, digestHex, digestOf } from "../core/digest.ts";
import type { Descriptor } from "../core/descriptor.ts";
import { StrataError } from "../core/errors.ts";
import { JSON_BYTES_MAX } from "../core/limits.ts";
import { parseJson } from "../metadata/json_document.ts";
import { type ImageFiles, readPart, requirePart, unusable } from "./image_files.ts";

/**
 * A document's bytes.
 * @throws {StrataError} `INVALID_ARCHIVE` when it is missing, `LIMIT_EXCEEDED` when it is too long
 */
export function readDocument(files: ImageFiles, name: string): Uint8Array {
  return readPart(requirePart(files, name), { max: JSON_BYTES_MAX, name });
}

/**
 * What a document says.
 * @throws {StrataError} `INVALID_ARCHIVE` when it is not JSON or does not fit the schema
 */
export function parseDocument<const S extends v.GenericSchema>(
  bytes: Uint8Array,
  { files, name, schema }: { readonly files: ImageFiles; readonly name: string; readonly schema: S },
): v.InferOutput<S> {
  try {
    return parseJson(bytes, schema);
  } catch (cause) {
    throw unusable(files, name, cause instanceof Error ? cause.message : String(cause));
  }
}

/** Where a blob lies. image-spec `image-layout.md`. */
export function blobName(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/**
 * The bytes of a blob that is a document.
 * @throws {StrataError} `DIGEST_MISMATCH` when they are not what the descriptor says; as {@link readDocument}
 */
export function readBlobDocument(files: ImageFiles, { digest, size }: Descriptor): Uint8Array {
  const name = blobName(digest);
  requireSize(files, { name, expected: size, actual: requirePart(files, name).length });
  const bytes = readDocument(files, name);
  requireDigest(files, { name, expected: digest, bytes });
  return bytes;
}

/** @throws {StrataError} `DIGEST_MISMATCH` */
export function requireDigest(
  { shownAs }: ImageFiles,
  { name, expected, bytes }: { readonly name: string; readonly expected: Digest; readonly bytes: Uint8Array },
): void {
  const actual = digestOf(bytes);
  if (actual !== expected) throw mismatch(shownAs, name, { expected, actual, sizeBytes: bytes.byteLength });
}

/** @throws {StrataError} `DIGEST_MISMATCH` */
export function requireSize(
  { shownAs }: ImageFiles,
  { name, expected, actual }: { readonly name: string; readonly expected: number; readonly actual: number },
): void {
  if (actual === expected) return;
  throw mismatch(shownAs, name, { expected: `${expected} bytes`, actual: `${actual} bytes`, sizeBytes: actual });
}

function mismatch(
  shownAs: string,
  name: string,
  detail: { readonly expected: string; readonly actual: string; readonly sizeBytes: number },
): StrataError<"DIGEST_MISMATCH"> {
  return new StrataError(
    "DIGEST_MISMATCH",
    `Cannot load image from "${shownAs}": "${name}" is ${detail.actual}, expected ${detail.expected}; fetch or save it again`,
    detail,
  );
}
