// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode, type Layer, LayerStore } from "../../mod.ts";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { Child, type ChildOrder } from "../support/child.ts";
import { gatedStream } from "../support/gated_stream.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const SIZES = [10, 200, 3000];

for (const driver of DRIVERS) {
  describe(`release() on ${driver}`, () => {
    it("deletes from top to base what nothing needs any more", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [one, two, three] = await registerChain(store);
      assert.deepEqual(await store.release(one), []);
      assert.deepEqual(await store.release(two), []);
      const top = store.get(three.chainId);
      assert.deepEqual(await store.release(top), [], "the first handle is still out");
      const own = [one, two, three].map(({ diffSizeBytes }) => diffSizeBytes);
      const deleted = await store.release(three);
      assert.deepEqual(
        deleted,
        [three, two, one].map(({ chainId, diffId, diffSizeBytes }, index) => ({
          chainId,
          diffId,
          sizeBytes: own.slice(0, 3 - index).reduce((sum, size) => sum + size),
          diffSizeBytes,
        })),
      );
      assert.deepEqual([store.layers().layers.size, scratch.layerDirs(driver)], [0, []]);
      assert.throws(() => store.get(one.chainId), (error) => hasCode(error, "NOT_FOUND"));
    });

    it("stops at the first layer that is still needed", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [one, two, three] = await registerChain(store);
      await store.release(one);
      assert.deepEqual(idsOf(await store.release(three)), [three.chainId], "the second has a handle");
      assert.deepEqual(idsOf(await store.release(two)), [two.chainId, one.chainId]);
    });

    const keepers: Readonly<Record<string, (place: Place) => Promise<() => Promise<unknown>>>> = {
      "a layer on top": async ({ store, layer }) => {
        const child = await store.register(streamOf(tarOf(77)), { parent: layer.chainId });
        return () => store.release(child);
      },
      "a writable layer": async ({ store, layer }) => {
        await store.createRWLayer("rw", { parent: layer.chainId });
        return () => store.releaseRWLayer("rw");
      },
      "a catalog record": async ({ store, layer }) => {
        const { id } = await store.catalog.add(layer.chainId);
        return () => store.catalog.delete(id);
      },
      "another handle": ({ store, layer }) => {
        const handle = store.get(layer.chainId);
        return Promise.resolve(() => store.release(handle));
      },
      "a handle of another store object": async ({ scratch, layer }) => {
        const other = await scratch.open({ driver });
        const handle = other.get(layer.chainId);
        return async () => {
          const deleted = await other.release(handle);
          await other[Symbol.asyncDispose]();
          return deleted;
        };
      },
    };

    for (const [what, keep] of Object.entries(keepers)) {
      it(`leaves a layer that ${what} needs, and the last user takes it along`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const layer = await store.register(streamOf(tarOf(10)));
        const letGo = await keep({ scratch, store, layer });
        assert.deepEqual(await store.release(layer), []);
        assert.deepEqual(await bytesOf(store.export(layer.chainId)), tarOf(10));
        await letGo();
        assert.deepEqual([store.layers().layers.size, scratch.layerDirs(driver)], [0, []]);
      });
    }

    it("leaves a layer that an image needs", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(tarOf(10)));
      const config = JSON.stringify({
        architecture: "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: [layer.diffId] },
      });
      const { layout } = LayerStore.contextOf(store);
      const imageId = digestOf(config);
      mkdirSync(layout.imageContentDir, { recursive: true });
      writeFileSync(join(layout.imageContentDir, digestHex(imageId)), config);
      assert.deepEqual(await store.release(layer), []);
      assert.equal(store.layers().layers.size, 1);
    });

    it("leaves a layer that a running process has a handle of; one that just exits deletes nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(tarOf(10)));
      await using child = new Child(holdOrder({ scratch, driver, layer }));
      assert.deepEqual(await child.firstWord(), { type: "held", chainId: layer.chainId });
      assert.deepEqual(await store.release(layer), []);
      assert(store.inspect(layer.chainId).kind === "layer");
      child.letGo();
      assert.equal((await child.ended).code, 0);
      assert.equal(store.layers().layers.size, 1);
      assert.deepEqual(idsOf(await store.release(store.get(layer.chainId))), [layer.chainId]);
    });

    it("keeps what is being registered on a layer whose last handle is released meanwhile", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(streamOf(tarOf(10)));
      const gate = gatedStream(tarOf(200_000), { chunkBytes: 100_000 });
      const registering = store.register(gate.stream, { parent: base.chainId });
      await gate.reached;
      assert.deepEqual(await store.release(base), []);
      gate.open();
      const top = await registering;
      assert.deepEqual([store.layers().layers.size, store.layers().broken], [2, []]);
      assert.deepEqual(idsOf(await store.release(top)), [top.chainId, base.chainId]);
    });

    it("refuses a handle twice while the layer lives, and one of another store", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const first = await store.register(streamOf(tarOf(10)));
      const second = store.get(first.chainId);
      await assert.rejects(other.release(first), (error) => hasCode(error, "NOT_RETAINED"));
      await store.release(first);
      await assert.rejects(store.release(first), (error) => hasCode(error, "NOT_RETAINED"));
      await store.release(second);
      assert.deepEqual(await store.release(second), [], "the layer is gone");
    });

    it("deletes nothing when the store is closed with handles out", async () => {
      using scratch = new ScratchRoot();
      let chainId: Layer["chainId"];
      {
        await using store = await scratch.open({ driver });
        ({ chainId } = await store.register(streamOf(tarOf(10))));
      }
      await using again = await scratch.open({ driver });
      assert.deepEqual([...again.layers().layers.keys()], [chainId]);
      assert.deepEqual(idsOf(await again.release(again.get(chainId))), [chainId]);
    });

    it("tells of layers whose data could not be removed, deletes those below, and leaves the rest to gc", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [one, two, three] = await registerChain(store);
      await store.release(one);
      await store.release(two);
      const { driver: keeper, layerDb } = LayerStore.contextOf(store);
      const stuck = layerDb.read(two.chainId).cacheId;
      const { remove } = keeper;
      keeper.remove = (id) => id === stuck ? Promise.reject(new Error("it is stuck")) : remove.call(keeper, id);
      const deleted = await store.release(three);
      assert.deepEqual(idsOf(deleted), [three.chainId, two.chainId, one.chainId]);
      assert.deepEqual(deleted.map(({ remains }) => remains?.code), [undefined, "IO", undefined]);
      assert.equal(store.layers().layers.size, 0);
      keeper.remove = remove;
      assert.deepEqual((await store.gc()).outcomes.map(({ kind, state }) => [kind, state]), [["orphan", "removed"]]);
      assert.deepEqual(scratch.layerDirs(driver), []);
    });

    it("deletes what it can above a damaged layer, and leaves that", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [one, two, three] = await registerChain(store);
      await store.release(one);
      await store.release(two);
      const record = join(scratch.root, "image", driver, "layerdb/sha256", digestHex(one.chainId));
      writeFileSync(join(record, "cache-id"), "no id at all");
      assert.deepEqual(idsOf(await store.release(three)), [three.chainId, two.chainId]);
      assert.equal(readFileSync(join(record, "diff"), "utf8"), one.diffId);
      assert.equal(scratch.layerDirs(driver).length, 1);
    });
  });
}

interface Place {
  readonly scratch: ScratchRoot;
  readonly store: LayerStore;
  readonly layer: Layer;
}

/** Three layers one on another, a handle of each. */
async function registerChain(store: LayerStore): Promise<[Layer, Layer, Layer]> {
  const [small = 0, middle = 0, large = 0] = SIZES;
  const one = await store.register(streamOf(tarOf(small)));
  const two = await store.register(streamOf(tarOf(middle)), { parent: one.chainId });
  const three = await store.register(streamOf(tarOf(large)), { parent: two.chainId });
  return [one, two, three];
}

function tarOf(sizeBytes: number): Uint8Array {
  return layerTar([file(`f${sizeBytes}`, new Uint8Array(sizeBytes).fill(97))]);
}

function idsOf(deleted: readonly { chainId: string }[]): string[] {
  return deleted.map(({ chainId }) => chainId);
}

function holdOrder({ scratch, driver, layer }: Omit<Place, "store"> & { driver: string }): ChildOrder {
  return {
    task: "hold",
    root: scratch.root,
    runRoot: join(scratch.dir, "run"),
    driver,
    chainId: layer.chainId,
  };
}
