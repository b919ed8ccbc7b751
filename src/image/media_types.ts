// SPDX-License-Identifier: Apache-2.0
/**
 * The media types of an image's parts. image-spec `media-types.md`; Docker's "Image Manifest V 2, Schema 2".
 *
 * How a layer is compressed is told by its bytes; its type only says whether it is a layer that may be read.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";

/** What a descriptor at the top or in an index can point to. */
export type ManifestKind = "index" | "manifest" | "other";

const INDEXES = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);
const MANIFESTS = new Set([
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
]);
const CONFIGS = new Set([
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
]);
const LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.v1\.tar|docker\.image\.rootfs\.diff\.tar)(?:[.+](?:gzip|zstd))?$/;
const FOREIGN_LAYER = /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1|docker\.image\.rootfs\.foreign)\./;

/** What a media type says that a document is. */
export function manifestKind(mediaType: string): ManifestKind {
  if (INDEXES.has(mediaType)) return "index";
  return MANIFESTS.has(mediaType) ? "manifest" : "other";
}

/** @throws {StrataError} `NOT_SUPPORTED` unless it is an image config's type */
export function requireConfigType(mediaType: string): void {
  if (!CONFIGS.has(mediaType)) throw unsupported(mediaType, "it is an artifact, not an image with layers");
}

/** @throws {StrataError} `NOT_SUPPORTED` unless it is the type of a layer that can be read */
export function requireLayerType(mediaType: string): void {
  if (LAYER.test(mediaType)) return;
  const why = FOREIGN_LAYER.test(mediaType)
    ? "such layers are not part of what is saved, but are to be fetched from their owner"
    : "it is unknown; layers are tar archives, plain or compressed with gzip or zstd";
  throw unsupported(mediaType, why);
}

function unsupported(mediaType: string, why: string): StrataError<"NOT_SUPPORTED"> {
  return new StrataError("NOT_SUPPORTED", `Cannot use the media type "${mediaType}": ${why}`, {
    feature: `media type ${mediaType}`,
  });
}
