// SPDX-License-Identifier: Apache-2.0
/**
 * Descriptors: how an image names a blob. image-spec `descriptor.md`.
 *
 * @module
 */
import type { Digest } from "./digest.ts";

/** A blob by media type, digest and size. */
export interface Descriptor {
  /** What the blob is. */
  readonly mediaType: string;
  /** Digest of the blob as it is distributed. */
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
}

/** A blob that a layer came from, as a registry's manifest described it. A {@link Descriptor} is one. */
export interface LayerDescriptor {
  /** What the blob is, such as `application/vnd.oci.image.layer.v1.tar+gzip`. */
  readonly mediaType?: string;
  /** Of any algorithm: it is kept, not computed. */
  readonly digest: string;
  /** Bytes of the blob. */
  readonly size?: number;
  /** Where else the blob may be fetched from. */
  readonly urls?: readonly string[];
  /** What else its maker noted. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** What it needs to run. */
  readonly platform?: DescriptorPlatform;
}

/** The least that the layer needs to run; the names are those of the JSON form. */
export interface DescriptorPlatform {
  /** Go's name of the processor, such as `amd64`. */
  readonly architecture?: string;
  /** Go's name of the operating system, such as `linux`. */
  readonly os?: string;
  /** Of Windows, such as `10.0.14393.1066`. */
  readonly "os.version"?: string;
  /** Of Windows, such as `win32k`. */
  readonly "os.features"?: readonly string[];
  /** Of the processor, such as `v8`. */
  readonly variant?: string;
}
