// SPDX-License-Identifier: Apache-2.0
/**
 * Diffs of drivers that can look into their layers without mounting them.
 *
 * @module
 */
import { diffSizeOf } from "../../changeset/diff_size.ts";
import { packChanges } from "../../changeset/pack.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { Change } from "../../changeset/change.ts";
import type { CacheId } from "../../core/ids.ts";
import { streamOf } from "../../stream/pipe.ts";
import type { DiffOptions } from "../interfaces/diff_driver.ts";
import { stackOf } from "../driver.ts";
import type { LayerLocation, LayerSealer } from "../interfaces/layer_sealer.ts";
import type { Awaitable } from "../interfaces/proto_driver.ts";

/** What a driver is asked for. */
export interface ViewingDriver extends Pick<LayerSealer, "locate" | "parentsOf"> {
  /** See {@link LayerSealer.view}. */
  view(stack: readonly LayerLocation[]): TreeView;
  /** See {@link DiffDriver.changes}. */
  changes(id: CacheId, parent: CacheId | undefined): Awaitable<Change[]>;
}

/** Two layers, of which the second may be none. */
export interface ComparedLayers extends DiffOptions {
  readonly id: CacheId;
  readonly parent: CacheId | undefined;
}

/** What a layer changes of another, as a tar. */
export function viewedDiff(driver: ViewingDriver, layers: ComparedLayers): ReadableStream<Uint8Array> {
  return streamOf(() => packed(driver, layers));
}

/** Bytes of the added and changed files. */
export async function viewedDiffSize(driver: ViewingDriver, { id, parent }: ComparedLayers): Promise<number> {
  const changes = await driver.changes(id, parent);
  using now = driver.view(stackOf(driver, id));
  return diffSizeOf({ changes, now });
}

async function* packed(driver: ViewingDriver, { id, parent, ...options }: ComparedLayers): AsyncGenerator<Uint8Array> {
  const changes = await driver.changes(id, parent);
  using now = driver.view(stackOf(driver, id));
  yield* packChanges({ ...options, changes, now });
}
