// SPDX-License-Identifier: Apache-2.0
/**
 * Recording a layer that was just taken in: the end of `register` and of `commit`.
 *
 * @module
 */
import type { CatalogRecord, CreateRecordOptions, Layer, LayerStore } from "../../mod.ts";
import type { OptionSpec } from "./command.ts";
import { warnOfDropped } from "./dropped.ts";
import type { Invocation } from "./invocation.ts";

/** What the new record is called. */
export const RECORD_OPTIONS: readonly OptionSpec[] = [
  { name: "id", value: "ID", summary: "the record's id; random by default" },
  { name: "name", value: "NAME", repeated: "list", summary: "a name for the layer; may be repeated" },
];

/** What the options say of the new record. */
export function recordOptions({ input }: Invocation): CreateRecordOptions {
  const id = input.text("id");
  return { names: input.list("name"), ...(id === undefined ? {} : { id }) };
}

/**
 * Makes a layer's record and prints the layer. Without its record the layer would be garbage, so it is given up when the
 * record cannot be made.
 * @throws {StrataError} `CONFLICT` when an id or name was taken meanwhile
 */
export async function recordLayer(invocation: Invocation, store: LayerStore, layer: Layer): Promise<void> {
  const { blob } = layer;
  const options = { ...recordOptions(invocation), ...(blob === undefined ? {} : { blob }) };
  const record = await createOrRelease(store, layer, options);
  const inspection = store.inspect(layer.chainId);
  if (inspection.kind !== "layer") throw new TypeError(`Cannot print ${layer.chainId}: it is no layer`);
  await warnOfDropped(invocation.log, { count: layer.droppedAttributes ?? 0, listed: layer.dropped });
  await invocation.output.value(layer.chainId, {
    id: record.id,
    chainId: layer.chainId,
    diffId: layer.diffId,
    parent: layer.parentChainId ?? null,
    names: record.names,
    size: inspection.chainSizeBytes,
    diffSize: layer.diffSizeBytes,
    blob: blob ?? null,
    archiveSize: layer.archiveBytes ?? null,
    uids: layer.uids ?? null,
    gids: layer.gids ?? null,
    droppedAttributes: layer.droppedAttributes ?? 0,
    created: record.created,
  });
}

async function createOrRelease(
  store: LayerStore,
  layer: Layer,
  options: CreateRecordOptions,
): Promise<CatalogRecord> {
  try {
    return await store.catalog.add(layer.chainId, options);
  } catch (error) {
    await store.release(layer);
    throw error;
  }
}
