// SPDX-License-Identifier: Apache-2.0
/**
 * Descriptors: how an image names a blob. image-spec `descriptor.md`.
 *
 * @module
 */
import type { Digest } from "./digest.ts";

/** A blob by media type, digest and size. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
}
