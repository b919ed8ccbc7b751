// SPDX-License-Identifier: Apache-2.0
/**
 * Giving a record the layer that a differ has staged, and what the differ tells of it: containers/storage's
 * `ApplyDiffFromStagingDirectory`.
 *
 * @module
 */
import type { BlobInfo } from "../../metadata/blob_info.ts";
import type { CatalogRecord, JsonValue } from "../../metadata/catalog/catalog_record.ts";
import { namingRoot, type StoreContext } from "../context.ts";
import { registerStagedDiff } from "../differ/register_staged_diff.ts";
import type { StagedLayerDiff, StagedOutput } from "../differ/staged_layer_diff.ts";
import type { Layer } from "../layer.ts";
import { stageItems } from "./big_data.ts";
import { fillRecord } from "./fill_record.ts";
import { findOwnRecord } from "./find_record.ts";

/** How a record gets what was staged. */
export interface FillFromDifferOptions {
  /** Set beside those that the record has. */
  readonly flags?: Readonly<Record<string, JsonValue>>;
  /** Aborting leaves the record as it was. */
  readonly signal?: AbortSignal;
}

/**
 * Registers what a differ has staged on what a record lies on, and has the record stand for that. The differ's text and data
 * items become the record's with it.
 * @throws {StrataError} `NOT_FOUND`; `CONFLICT` when the record's layer has its diff; `IN_USE` when it is mounted, or something
 *   lies on it: what was staged can be given to another record then. As registering what was staged does. The record is as
 *   it was
 */
export async function fillFromDiffer(
  context: StoreContext,
  ref: string,
  { staged, flags = {}, signal }: FillFromDifferOptions & { readonly staged: StagedLayerDiff },
): Promise<CatalogRecord> {
  const { id } = findOwnRecord(context, ref);
  const { output } = staged;
  context.dockerd.requireAbsent();
  await using staging = context.staging.create("data items");
  return await fillRecord(context, id, async (parent) => {
    const data = await namingRoot(context, () => stageItems(context, staging, { bigData: output.bigData, signal }));
    const aborting = signal === undefined ? {} : { signal };
    const { layer } = await registerStagedDiff(context, staged, { ...parent, ...aborting });
    return { layer, blob: blobOf(output, layer), metadata: output.metadata, flags, data };
  });
}

/** What was distributed, as the differ tells it; where it does not, the archive that was put together. */
function blobOf(
  { blobDigest, blobBytes, compression, tocDigest }: StagedOutput,
  { blob }: Layer,
): BlobInfo | undefined {
  const distributed = blobDigest === undefined || blobBytes === undefined
    ? blob
    : { digest: blobDigest, size: blobBytes, compression: compression ?? "none" };
  return distributed && { ...distributed, ...(tocDigest === undefined ? {} : { tocDigest }) };
}
