// SPDX-License-Identifier: Apache-2.0
/**
 * A layer's `descriptor.json`: Docker's form of a descriptor (distribution, `Descriptor`), each field omitted when it is
 * empty. Docker writes the file on Windows alone, and reads it everywhere; this package does both everywhere.
 *
 * @module
 */
import * as v from "valibot";
import type { DescriptorPlatform, LayerDescriptor } from "../core/descriptor.ts";
import { countSchema } from "./blob_info.ts";
import { type ReadContext, readRecordJson } from "./record_file.ts";

/** Go reads `null` as the empty value of whatever stands there. */
const textSchema = v.nullish(v.string());
const textsSchema = v.nullish(v.array(v.string()));

const documentSchema = v.object({
  mediaType: textSchema,
  size: v.nullish(countSchema),
  digest: textSchema,
  urls: textsSchema,
  annotations: v.nullish(v.record(v.string(), v.string())),
  platform: v.nullish(v.object({
    architecture: textSchema,
    os: textSchema,
    "os.version": textSchema,
    "os.features": textsSchema,
    variant: textSchema,
  })),
});

/** An array is an object to JavaScript, and none to Go. */
const descriptorSchema = v.pipe(
  v.unknown(),
  v.check((document) => !Array.isArray(document), "it is an array"),
  documentSchema,
);

/**
 * The descriptor in a file; `undefined` when there is no such file, or it names no blob.
 * @throws {StrataError} `CORRUPT` when it is no descriptor
 */
export function readDescriptor(path: string, context: ReadContext): LayerDescriptor | undefined {
  const document = readRecordJson(path, descriptorSchema, context);
  if (document === undefined || !document.digest) return undefined;
  const { mediaType, size, digest, urls, annotations, platform } = document;
  return {
    ...(mediaType ? { mediaType } : {}),
    ...(size ? { size } : {}),
    digest,
    ...(urls && urls.length > 0 ? { urls } : {}),
    ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...(platform ? { platform: platformOf(platform) } : {}),
  };
}

/** A descriptor as the text of its file, in Docker's order of fields. */
export function descriptorText({ mediaType, size, digest, urls, annotations, platform }: LayerDescriptor): string {
  return JSON.stringify({
    mediaType: mediaType || undefined,
    size: size || undefined,
    digest,
    urls: urls?.length ? urls : undefined,
    annotations: annotations && Object.keys(annotations).length > 0 ? annotations : undefined,
    platform: platform && platformDocument(platform),
  });
}

/** Docker writes the first two always. */
function platformDocument({ architecture = "", os = "", variant, ...rest }: DescriptorPlatform): object {
  const features = rest["os.features"];
  return {
    architecture,
    os,
    "os.version": rest["os.version"] || undefined,
    "os.features": features?.length ? features : undefined,
    variant: variant || undefined,
  };
}

function platformOf(document: v.InferOutput<typeof documentSchema>["platform"] & object): DescriptorPlatform {
  const { architecture, os, variant } = document;
  const version = document["os.version"];
  const features = document["os.features"];
  return {
    ...(architecture ? { architecture } : {}),
    ...(os ? { os } : {}),
    ...(version ? { "os.version": version } : {}),
    ...(features && features.length > 0 ? { "os.features": features } : {}),
    ...(variant ? { variant } : {}),
  };
}
