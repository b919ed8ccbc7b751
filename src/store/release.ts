// SPDX-License-Identifier: Apache-2.0
/**
 * Releasing a handle, and deleting the layers that nothing needs any more, top to base.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { readableRecord } from "./chains.ts";
import type { StoreContext } from "./context.ts";
import { deleteLayers } from "./delete_layers.ts";
import type { DeletedLayer, LayerView } from "./layer.ts";

/**
 * Takes a handle back, and deletes what nothing needs any more. While a dockerd holds the root nothing is deleted: that a
 * handle for reading ends must not fail, and what is left over goes later.
 * @throws {StrataError} `NOT_RETAINED`
 */
export async function release(context: StoreContext, layer: LayerView): Promise<DeletedLayer[]> {
  context.handles.drop(layer);
  if (context.dockerd.find() !== undefined) return [];
  return await deleteUnneeded(context, layer.chainId);
}

/**
 * Deletes a layer and then the layers below it, as far as nothing needs them. What was deleted is returned, top first; a
 * layer whose data could not be removed is deleted all the same, and says so.
 * @throws {StrataError} `LOCKED`
 */
export async function deleteUnneeded(context: StoreContext, top: ChainId | undefined): Promise<DeletedLayer[]> {
  const chain: ChainId[] = [];
  for (let next = top; next !== undefined;) {
    const record = readableRecord(context, next);
    if (record !== undefined) chain.push(next);
    next = record?.parent;
  }
  return await deleteLayers(context, chain);
}
