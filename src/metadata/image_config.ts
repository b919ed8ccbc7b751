// SPDX-License-Identifier: Apache-2.0
/**
 * Image configs: the document that says which layers an image has, and whose digest is the image's id.
 *
 * image-spec `config.md`; Docker's image spec v1.2. What is not needed here is passed on as it is.
 *
 * @module
 */
import * as v from "valibot";
import { createChainId } from "../core/chain_id.ts";
import { type ChainId, type DiffId, type Digest, digestOf, parseDiffId, parseDigest } from "../core/digest.ts";
import { parseJson } from "./json_document.ts";
import { parsedText } from "./record_file.ts";

/** @internal */
declare const imageId: unique symbol;
/** @internal */
type Brand = { readonly [imageId]: true };

/** Digest of an image's config. */
export type ImageId = Digest & Brand;

/** What an image's config says. */
export interface ImageConfig {
  readonly os: string;
  readonly architecture: string;
  /** Further kind of the processor, such as `v7`. */
  readonly variant?: string | undefined;
  /** When the image was built; as it is written. */
  readonly created?: string | null | undefined;
  readonly rootfs: {
    readonly type: "layers";
    /** The layers, bottom first. */
    readonly diff_ids: readonly DiffId[];
  };
  readonly [other: string]: unknown;
}

const configSchema: v.GenericSchema<unknown, ImageConfig> = v.looseObject({
  // Images that were built before there was another system do not name it.
  os: v.optional(v.string(), "linux"),
  architecture: v.optional(v.string(), ""),
  variant: v.optional(v.string()),
  created: v.nullish(v.string()),
  rootfs: v.looseObject({
    type: v.literal("layers"),
    // Go writes an absent list as null.
    diff_ids: v.nullish(v.array(parsedText(parseDiffId)), []),
  }),
});

/**
 * The config in a document.
 * @throws {SyntaxError} whose message is a clause that says what is wrong
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  return parseJson(bytes, configSchema);
}

/** The id of the image with this config. */
export function imageIdOf(configBytes: Uint8Array): ImageId {
  return digestOf(configBytes) as ImageId;
}

/**
 * The text as an image's id.
 * @throws {SyntaxError} when it is not `sha256:` and 64 lower-case hex digits
 */
export function parseImageId(text: string): ImageId {
  return parseDigest(text) as ImageId;
}

/** The stack that an image's layers make; `undefined` for an image without layers. */
export function chainIdOf({ rootfs }: ImageConfig): ChainId | undefined {
  return rootfs.diff_ids.length === 0 ? undefined : createChainId(rootfs.diff_ids);
}
