// SPDX-License-Identifier: Apache-2.0
/**
 * What a saved image was found to be, whatever its format: enough to take it in.
 *
 * @module
 */
import type { Digest } from "../core/digest.ts";
import { type ImageConfig, type ImageId, imageIdOf, parseImageConfig } from "../metadata/image_config.ts";
import type { ImageName } from "../metadata/image_name.ts";
import { type ImageFiles, unusable } from "./image_files.ts";

/** A layer of a saved image. */
export interface PlannedLayer {
  /** The file that holds it. */
  readonly name: string;
  /** What the file must be; absent where the format does not say. */
  readonly expectedBlob?: { readonly digest: Digest; readonly sizeBytes?: number };
}

/** An image to be taken in. */
export interface PlannedImage {
  readonly imageId: ImageId;
  readonly config: ImageConfig;
  /** The config's document, to the byte. */
  readonly configBytes: Uint8Array;
  readonly names: readonly ImageName[];
  /** Bottom first, one for each of the config's DiffIDs. */
  readonly layers: readonly PlannedLayer[];
  /** What a person should know, such as a name that could not be used. */
  readonly notes: readonly string[];
}

/** What a format says of an image. */
export interface ImageParts extends Pick<PlannedImage, "configBytes" | "names" | "layers" | "notes"> {
  /** Name of the config's file, for messages. */
  readonly configName: string;
}

/**
 * The image of these parts.
 * @throws {StrataError} `INVALID_ARCHIVE` when the config is malformed, or has another number of layers
 */
export function planImage(files: ImageFiles, parts: ImageParts): PlannedImage {
  const { configName, configBytes, layers } = parts;
  const config = configIn(files, parts);
  const { length } = config.rootfs.diff_ids;
  if (length !== layers.length) {
    throw unusable(files, configName, `it lists ${length} DiffIDs, but the image has ${layers.length} layers`);
  }
  return { ...parts, imageId: imageIdOf(configBytes), config };
}

function configIn(files: ImageFiles, { configName, configBytes }: ImageParts): ImageConfig {
  try {
    return parseImageConfig(configBytes);
  } catch (cause) {
    throw unusable(
      files,
      configName,
      `it is no image config: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}
