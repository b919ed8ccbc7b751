// SPDX-License-Identifier: Apache-2.0
/**
 * Telling a log what a release deleted, in Docker's words, so that what reads Docker's log reads this one. moby,
 * layer/layer.go, `ReleaseAndLog` and `LogReleaseMetadata`.
 *
 * @module
 */
import type { DeletedLayer, LayerView } from "./layer.ts";

/** Where lines go. */
export interface ReleaseLog {
  /** Takes one line, without its end. */
  readonly log: (line: string) => void;
}

/** Whatever releases layers: a store. */
export interface LayerReleaser {
  /** Takes a handle back, and gives the layers that went with it. */
  release(layer: LayerView): Promise<readonly DeletedLayer[]>;
}

/** Releases a layer, and logs what went with it. A failure is logged as well, and not thrown: it ends no shutdown. */
export async function releaseAndLog(store: LayerReleaser, layer: LayerView, options: ReleaseLog): Promise<void> {
  try {
    logReleaseMetadata(await store.release(layer), options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    options.log(`Error releasing layer ${layer.chainId}: ${reason}`);
  }
}

/** Logs one line for each layer that was deleted. */
export function logReleaseMetadata(deleted: readonly DeletedLayer[], { log }: ReleaseLog): void {
  for (const { chainId } of deleted) log(`Layer ${chainId} cleaned up`);
}
