// SPDX-License-Identifier: Apache-2.0
/**
 * The example of docs/differs.md.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import type { Differ, DiffId, Layer, LayerStore } from "../../../mod.ts";

/** What is known of a layer before any of its files is fetched. */
export interface RemoteLayer {
  readonly diffId: DiffId;
  /** The tar-split, gzipped or not. */
  readonly tarSplit: () => ReadableStream<Uint8Array>;
  /** Names of the layer's files, here all in the root, and how to fetch one. */
  readonly files: readonly string[];
  readonly fetch: (name: string, signal: AbortSignal | undefined) => Promise<Uint8Array>;
}

/** Fetches a layer file by file. */
export function remoteDiffer(remote: RemoteLayer): Differ {
  return {
    async applyDiff(target, { signal }) {
      for (const name of remote.files) {
        // Only the contents matter: owner, mode, times and attributes are in the tar-split, and the store sets them.
        writeFileSync(`${target.path}/${name}`, await remote.fetch(name, signal));
      }
      return { diffId: remote.diffId, tarSplit: remote.tarSplit() };
    },
  };
}

/** Fetches a layer, and registers it on another. */
export async function pull(store: LayerStore, remote: RemoteLayer, parent?: Layer): Promise<Layer> {
  await using staged = await store.stageDiff(remoteDiffer(remote));
  const { layer } = await store.registerStagedDiff(staged, parent ? { parent: parent.chainId } : {});
  return layer;
}
