// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer out of one of another root so that both have the same blocks on disk.
 *
 *   the root's tree, by the names of its tar-split ─▶ files with the same blocks, staged ─▶ registered as any differ's
 *
 * What is staged is put together to an archive again, whose digest must be the one that the root claims: so every byte is
 * read and compared, though none is written.
 *
 * @module
 */
import type { LayerDescriptor } from "../../core/descriptor.ts";
import type { ChainId } from "../../core/digest.ts";
import { openRegularStream } from "../../host/streams.ts";
import type { StoreContext } from "../context.ts";
import type { Differ, DifferOutput } from "../differ/differ.ts";
import { registerStagedDiff } from "../differ/register_staged_diff.ts";
import { stageDiff } from "../differ/stage_diff.ts";
import type { ExportSource } from "../export.ts";
import type { Layer } from "../layer.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";

/** A layer to be made so. */
export interface ShareRequest {
  readonly root: ReadOnlyRoot;
  readonly source: ExportSource;
  readonly parent: ChainId | undefined;
  readonly descriptor: LayerDescriptor | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A layer that was made so. */
export interface SharedLayer {
  readonly layer: Layer;
  /** Bytes of its files. */
  readonly bytes: number;
}

/**
 * Makes the layer; `undefined` where the two places cannot share blocks.
 * @throws {StrataError} as staging and registering a diff do
 */
export async function shareLayer(context: StoreContext, request: ShareRequest): Promise<SharedLayer | undefined> {
  const { source: { diffId }, parent, descriptor, signal } = request;
  const aborting = signal === undefined ? {} : { signal };
  const differ = new SharingDiffer(context, request);
  try {
    await using staged = await stageDiff(context, differ, aborting);
    const { layer } = await registerStagedDiff(context, staged, {
      ...aborting,
      ...(parent === undefined ? {} : { parent }),
      ...(descriptor === undefined ? {} : { descriptor }),
      expectedDiffId: diffId,
      existing: "copy",
    });
    return { layer, bytes: differ.bytes };
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

/** Ends staging where blocks cannot be shared. Nobody else gets to see it. */
class Refused extends Error {}

class SharingDiffer implements Differ {
  bytes = 0;
  readonly #context: StoreContext;
  readonly #request: ShareRequest;

  constructor(context: StoreContext, request: ShareRequest) {
    this.#context = context;
    this.#request = request;
  }

  async applyDiff(target: { readonly path: string }): Promise<DifferOutput> {
    const { root, source: { diffId, tarSplitPath, stack }, signal } = this.#request;
    const request = { driver: root.reading.driver.spec, tarSplitPath, stack, target: target.path };
    // It writes, and what it has written is to be removed when it has stopped.
    const run = signal === undefined ? {} : { signal, whenAborted: "wait" as const };
    const { outcome, bytes } = await this.#context.pool.run("shareContents", request, run);
    if (outcome === "refused") throw new Refused("Cannot share blocks between these places");
    this.bytes = bytes;
    const { stream: tarSplit } = await openRegularStream(tarSplitPath);
    return { diffId, tarSplit };
  }
}
