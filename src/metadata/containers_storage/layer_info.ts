// SPDX-License-Identifier: Apache-2.0
/**
 * What an additional layer store says of a layer: a record as `layers.json` has them (containers/storage, layers.go,
 * `Layer`), of which only the digests matter. They are claims.
 *
 * @module
 */
import * as v from "valibot";
import { type DiffId, type Digest, parseDiffId, parseDigest } from "../../core/digest.ts";
import { StrataError } from "../../core/errors.ts";
import { parsedText } from "../record_file.ts";

/** The digests that are claimed. */
export interface LayerClaims {
  /** Of the layer as it is distributed. */
  readonly blob?: Digest;
  /** Of the uncompressed tar. */
  readonly diffId?: DiffId;
  readonly tocDigest?: Digest;
}

/** Go writes an empty text, or nothing, for no digest. */
const NONE = v.literal("");
const infoSchema = v.object({
  "compressed-diff-digest": v.nullish(v.union([NONE, parsedText(parseDigest)])),
  "diff-digest": v.nullish(v.union([NONE, parsedText(parseDiffId)])),
  "toc-digest": v.nullish(v.union([NONE, parsedText(parseDigest)])),
});

/**
 * The claims in a document.
 * @param subject whose it is, for the error
 * @throws {StrataError} `CORRUPT`
 */
export function parseLayerClaims(text: string, subject: string): LayerClaims {
  try {
    const info = v.parse(infoSchema, JSON.parse(text));
    const { "compressed-diff-digest": blob, "diff-digest": diffId, "toc-digest": tocDigest } = info;
    return { ...(blob ? { blob } : {}), ...(diffId ? { diffId } : {}), ...(tocDigest ? { tocDigest } : {}) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Cannot use the additional layer ${subject}: what its store tells of it is refused: ${reason}`;
    throw new StrataError("CORRUPT", message, { path: subject }, { cause });
  }
}
