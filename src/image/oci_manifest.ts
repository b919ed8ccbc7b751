// SPDX-License-Identifier: Apache-2.0
/**
 * OCI manifests and indexes, and Docker's of the same form.
 *
 * image-spec `manifest.md`, `image-index.md`, `descriptor.md`. A document is only what its descriptor says it is: one that
 * could be read as a manifest and as an index, too, is refused (CVE-2021-41190).
 *
 * @module
 */
import * as v from "valibot";
import type { Descriptor } from "../core/descriptor.ts";
import { parseDigest } from "../core/digest.ts";
import { countSchema } from "../metadata/blob_info.ts";
import { parsedText } from "../metadata/record_file.ts";
import { parseDocument } from "./document.ts";
import { type ImageFiles, unusable } from "./image_files.ts";
import type { Platform } from "./platform.ts";

/** A descriptor in an index. */
export interface IndexEntry extends Descriptor {
  readonly platform?: Platform | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

/** What a manifest says. */
export interface Manifest {
  readonly config: Descriptor;
  /** Bottom first. */
  readonly layers: readonly Descriptor[];
}

/** Where a document came from: its file's name, and the type that its descriptor gives; absent for the topmost. */
export interface DocumentPlace {
  readonly files: ImageFiles;
  readonly name: string;
  readonly mediaType?: string;
}

const descriptorEntries = {
  mediaType: v.string(),
  digest: parsedText(parseDigest),
  size: countSchema,
};
const descriptorSchema: v.GenericSchema<unknown, Descriptor> = v.object(descriptorEntries);

/** A platform, in an index entry or in an image's config. */
export const platformSchema: v.GenericSchema<unknown, Platform> = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
});

const indexSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  manifests: v.array(v.object({
    ...descriptorEntries,
    platform: v.nullish(platformSchema),
    annotations: v.nullish(v.record(v.string(), v.string()), {}),
  })),
  layers: v.optional(v.unknown()),
  config: v.optional(v.unknown()),
});

const manifestSchema = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  config: descriptorSchema,
  layers: v.nullish(v.array(descriptorSchema), []),
  manifests: v.optional(v.unknown()),
});

/**
 * The entries of an index.
 * @throws {StrataError} `INVALID_ARCHIVE`
 */
export function parseIndex(bytes: Uint8Array, place: DocumentPlace): IndexEntry[] {
  const index = parseDocument(bytes, { ...place, schema: indexSchema });
  requireType(index.mediaType, place);
  if (index.layers !== undefined || index.config !== undefined) throw ambiguous(place);
  return index.manifests.map(({ platform, annotations, ...descriptor }) => ({
    ...descriptor,
    ...(platform === null || platform === undefined ? {} : { platform }),
    annotations: new Map(Object.entries(annotations ?? {})),
  }));
}

/**
 * What a manifest says.
 * @throws {StrataError} `INVALID_ARCHIVE`
 */
export function parseManifest(bytes: Uint8Array, place: DocumentPlace): Manifest {
  const manifest = parseDocument(bytes, { ...place, schema: manifestSchema });
  requireType(manifest.mediaType, place);
  if (manifest.manifests !== undefined) throw ambiguous(place);
  return { config: manifest.config, layers: manifest.layers ?? [] };
}

function requireType(actual: string | undefined, place: DocumentPlace): void {
  const { files, name, mediaType } = place;
  if (actual === undefined || mediaType === undefined || actual === mediaType) return;
  throw unusable(files, name, `it says it is "${actual}", its descriptor says "${mediaType}"`);
}

function ambiguous({ files, name }: DocumentPlace): Error {
  return unusable(files, name, "it can be read as a manifest and as an index; readers differ on which it is");
}
