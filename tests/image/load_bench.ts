// SPDX-License-Identifier: Apache-2.0
/**
 * Images that tests load, and stores that they load them into.
 *
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayerStore } from "../../mod.ts";
import { createChainId } from "../../src/core/chain_id.ts";
import { type DiffId, digestOf } from "../../src/core/digest.ts";
import { listImages } from "../../src/image/images.ts";
import { type LoadedImage, loadImage, type LoadOptions } from "../../src/image/load.ts";
import type { StoreContext } from "../../src/store/context.ts";
import { refusal } from "../metadata/store_dir.ts";
import { type BuiltImage, configOf, layerOf, type SavedFiles, writeFiles } from "../support/image_builder.ts";
import { ScratchRoot } from "../support/scratch_store.ts";

/** The lower layer. */
export const BASE = layerOf("etc/os", "base\n");
/** The upper one. */
export const TOP = layerOf("etc/top", "top\n");
/** An image of both. */
export const IMAGE: BuiltImage = { layers: [BASE, TOP] };
/** The chain of both. */
export const CHAIN = createChainId(IMAGE.layers.map(({ tar }) => digestOf(tar) as DiffId));
/** What Docker calls the image. */
export const IMAGE_ID = digestOf(configOf(IMAGE));

/** A store to load into. */
export interface Bench {
  readonly context: StoreContext;
  readonly store: LayerStore;
  readonly scratch: ScratchRoot;
  /** Saves bytes as a file, or files as a directory, and loads it. */
  load(saved: Uint8Array | SavedFiles, options?: LoadOptions): Promise<LoadedImage[]>;
}

/** Calls with a store of its own, and fails when an operation left anything. */
export async function onStore(act: (bench: Bench) => Promise<void>, driver = "vfs"): Promise<void> {
  using scratch = new ScratchRoot();
  await using store = await scratch.open({ driver });
  const context = LayerStore.contextOf(store);
  let count = 0;
  const load = (saved: Uint8Array | SavedFiles, options?: LoadOptions) => {
    const path = join(scratch.dir, `saved-${count++}`);
    if (saved instanceof Uint8Array) writeFileSync(path, saved);
    else writeFiles(path, saved);
    return loadImage(context, { kind: "path", path }, options);
  };
  await act({ context, store, scratch, load });
  assert.deepEqual(scratch.leftovers(), []);
}

/** The image is refused so, and nothing of it is left. */
export function refuses(saved: Uint8Array | SavedFiles, expected: Parameters<typeof refusal>, options?: LoadOptions) {
  return onStore(async ({ context, load, scratch }) => {
    await assert.rejects(load(saved, options), refusal(...expected));
    assert.deepEqual(listImages(context), { images: [], findings: [] });
    assert.equal(context.layerDb.list().layers.size, 0);
    assert.deepEqual(scratch.layerDirs("vfs"), []);
  });
}
