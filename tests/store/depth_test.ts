// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, EMPTY_DIFF_ID, EMPTY_LAYER, hasCode, LayerStore } from "../../mod.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import { CHAIN_DEPTH_MAX } from "../../src/core/limits.ts";
import { takeIn } from "../../src/store/take_in.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

for (const driver of DRIVERS) {
  describe(`a chain of ${CHAIN_DEPTH_MAX} layers on ${driver}`, () => {
    it("is the deepest, and bears a writable layer with an init layer", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const top = await deepestChain(store);
      assert.equal(store.map().size, CHAIN_DEPTH_MAX);

      const tooDeep = (error: unknown): boolean => {
        assert(hasCode(error, "MAX_DEPTH"), String(error));
        assert.deepEqual(error.detail, { depth: CHAIN_DEPTH_MAX + 1, depthMax: CHAIN_DEPTH_MAX });
        return true;
      };
      await assert.rejects(store.register(EMPTY_LAYER.tarStream(), { parent: top }), tooDeep);
      const adopted = { parent: top, diffId: EMPTY_DIFF_ID, tarSplitFile: "/absent", sizeBytes: 0 };
      await assert.rejects(store.registerByGraphId(randomCacheId(), adopted), tooDeep);

      const initFunction = (path: string): void => writeFileSync(join(path, "init"), "init");
      const rw = await store.createRWLayer("rw", { parent: top, initFunction });
      const path = await rw.mount();
      assert(existsSync(join(path, "bottom")) && existsSync(join(path, "init")));
      writeFileSync(join(path, "own"), "own");
      await rw.unmount();
      assert.equal(await rw.sizeBytes(), 3);
      await assert.rejects(store.commit("rw"), tooDeep);
      await store.releaseRWLayer(rw);
      assert.deepEqual(scratch.leftovers(), []);
    });
  });
}

/** Taken in at once, for that is quickest: one file, and empty layers above it. */
async function deepestChain(store: LayerStore): Promise<ChainId> {
  const bottom = streamOf(layerTar([file("bottom")]));
  const above = Array.from({ length: CHAIN_DEPTH_MAX - 1 }, () => EMPTY_LAYER.tarStream());
  const layers = [bottom, ...above].map((stream) => ({ source: { kind: "stream", stream } as const }));
  const context = LayerStore.contextOf(store);
  return await takeIn(context, { layers, parent: undefined }, (records) => {
    return context.handles.retain(records.at(-1)!).chainId;
  });
}
