// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type GcReport, hasCode, LayerStore, registerDriver, type RegisterProgress } from "../../mod.ts";
import { type DiffId, digestOf } from "../../src/core/digest.ts";
import { takeIn } from "../../src/store/take_in.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import renaming from "../driver/example_driver.ts";
import inPlace from "../support/in_place_driver.ts";
import { bytesOf, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([file("base", "1")]);
const TOP = layerTar([file("top", "2")]);
const ABSENT = digestOf("another tar") as DiffId;

registerDriver("renaming", renaming, { module: moduleOf("../driver/example_driver") });
registerDriver("in-place", inPlace, { module: moduleOf("../support/in_place_driver") });

for (const driver of ["renaming", "in-place"]) {
  describe(`layers sealed in the home of a driver: ${driver}`, () => {
    it("are left alone by a gc that runs beside, whatever age it asks for", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const collecting: Promise<GcReport>[] = [];
      const onProgress = ({ kind }: RegisterProgress): void => {
        if (kind === "sealed") collecting.push(other.gc({ minAgeMs: 0 }));
      };
      const base = await store.register(streamOf(BASE), { onProgress });
      const top = await store.register(streamOf(TOP), { parent: base.chainId, onProgress });
      assert.deepEqual((await Promise.all(collecting)).map(({ outcomes }) => outcomes), [[], []]);
      assert.deepEqual(await bytesOf(store.export(base.chainId)), BASE);
      assert.deepEqual(await bytesOf(store.export(top.chainId)), TOP);
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
      assert.deepEqual((await other.gc({ minAgeMs: 0 })).outcomes, [], "nothing is left but the layers");
    });

    it("are there from when they are sealed", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const seen: number[] = [];
      const { driver: keeper } = LayerStore.contextOf(store);
      const onProgress = ({ kind }: RegisterProgress): void =>
        void (kind === "sealed" && seen.push(keeper.list().length));
      await store.register(streamOf(BASE), { onProgress });
      assert.deepEqual(seen, [1]);
    });

    it("are removed when a layer above fails", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const context = LayerStore.contextOf(store);
      const layers = [BASE, TOP].map((tar, index) => ({
        source: { kind: "stream", stream: streamOf(tar) } as const,
        ...(index === 1 ? { expectedDiffId: ABSENT } : {}),
      }));
      const sealed: number[] = [];
      const onProgress = (layer: number, { kind }: RegisterProgress): void =>
        void (kind === "sealed" && sealed.push(layer));
      await assert.rejects(
        takeIn(context, { layers, parent: undefined, onProgress }, () => {}),
        (error) => hasCode(error, "DIGEST_MISMATCH"),
      );
      assert.deepEqual(sealed, [0]);
      assert.deepEqual(context.driver.list(), []);
      assert.deepEqual(scratch.leftovers(), []);
      assert.deepEqual((await store.gc({ mode: "plan", minAgeMs: 0 })).outcomes, []);
    });

    it("are removed when registering is aborted then", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(streamOf(BASE));
      const abort = new AbortController();
      const onProgress = ({ kind }: RegisterProgress): void => void (kind === "sealed" && abort.abort());
      await assert.rejects(
        store.register(streamOf(TOP), { parent: base.chainId, signal: abort.signal, onProgress }),
        (error) => hasCode(error, "ABORTED"),
      );
      assert.equal(LayerStore.contextOf(store).driver.list().length, 1);
      assert.equal((await store.verify(base.chainId)).state, "ok");
    });

    it("are removed when another was faster", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const context = LayerStore.contextOf(store);
      const { promise: otherIsDone, open } = gate();
      const late = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await otherIsDone;
          controller.enqueue(TOP);
          controller.close();
        },
      });
      const layers = [streamOf(BASE), late].map((stream) => ({ source: { kind: "stream", stream } as const }));
      const onProgress = (layer: number, { kind }: RegisterProgress): void => {
        if (kind === "sealed" && layer === 0) store.register(streamOf(BASE)).then(open, open);
      };
      const ids = await takeIn(context, { layers, parent: undefined, onProgress }, (records) => {
        return records.map(({ cacheId }) => cacheId);
      });
      assert.equal(store.layers().layers.size, 2);
      assert.deepEqual(context.driver.list().map(({ cacheId }) => cacheId).sort(), ids.sort());
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
    });
  });
}

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open: () => open() };
}

/** Built, a test is a module of JavaScript. */
function moduleOf(path: string): URL {
  return new URL(`${path}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}
