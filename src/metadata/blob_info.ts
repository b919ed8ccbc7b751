// SPDX-License-Identifier: Apache-2.0
/**
 * The compressed form in which a layer was seen. It is a memory, not an identity: the same layer compresses to other
 * bytes elsewhere.
 *
 * @module
 */
import * as v from "valibot";
import { type Digest, parseDigest } from "../core/digest.ts";
import { parsedText } from "./record_file.ts";

/** How a blob was compressed, as its first bytes told. */
export type CompressionName = "none" | "gzip" | "zstd" | "xz" | "bzip2";

/** The blob that a layer came from. */
export interface BlobInfo {
  /** Digest of its bytes as they came. */
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  /** What its first bytes told. */
  readonly compression: CompressionName;
  /**
   * Digest of its table of contents, where it had one: of a zstd:chunked blob the compressed table, of an eStargz blob the
   * JSON, as the annotations `io.github.containers.zstd-chunked.manifest-checksum` and
   * `containerd.io/snapshot/stargz/toc.digest` have it. It was found by the blob's own bytes. Annotations of a descriptor
   * are neither needed nor believed: where they say otherwise, this is right. It is no identity of the layer, since nobody
   * compared the table with the archive: that is {@link digest}, or the DiffID.
   */
  readonly tocDigest?: Digest;
}

/** A count or size in a record. */
export const countSchema: v.GenericSchema<unknown, number> = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A point in time: ISO 8601 in UTC, as `Date.toISOString` writes it. */
export const timeSchema: v.GenericSchema<unknown, string> = v.pipe(v.string(), v.isoTimestamp());

/** A blob in a record. */
export const blobInfoSchema: v.GenericSchema<unknown, BlobInfo> = v.object({
  digest: parsedText(parseDigest),
  size: countSchema,
  compression: v.picklist(["none", "gzip", "zstd", "xz", "bzip2"]),
  tocDigest: v.exactOptional(parsedText(parseDigest)),
});
