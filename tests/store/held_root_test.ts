// SPDX-License-Identifier: Apache-2.0
/**
 * A root that a running dockerd holds: it is read, and nothing is written. What the real one does with it is told by
 * `tests/interop/dockerd_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { hasCode, ImageStore } from "../../mod.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { changedPaths, changeListing } from "../support/change_listing.ts";
import { FakeDockerd } from "../support/fake_dockerd.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const TAR = layerTar([dir("etc"), file("etc/motd", "hello\n")]);
const MORE = layerTar([file("etc/more", "")]);

for (const driver of DRIVERS) {
  describe(`a root that a dockerd holds, on ${driver}`, () => {
    it("is read, and nothing is written there", async () => {
      using scratch = new ScratchRoot();
      const { chainId } = await filled(scratch, driver);
      await using _dockerd = await FakeDockerd.start(["--data-root", scratch.root]);
      const listed = changeListing(scratch.root);
      {
        await using store = await scratch.open();
        assert.equal(store.info().driver, driver);
        const layer = store.get(chainId);
        assert.deepEqual(await bytesOf(store.export(chainId)), TAR);
        assert.equal((await store.verify(chainId)).state, "ok");
        assert.equal((await store.changes(chainId)).at(-1)?.path, "etc/motd");
        assert.equal(store.inspect("writable").kind, "writable");
        assert.deepEqual(await store.release(layer), []);
        assert.deepEqual(new ImageStore(store).list().images, []);
      }
      assert.deepEqual(changedPaths(listed, changeListing(scratch.root)), []);
    });

    it("takes no writes, whenever it was opened, and cancels their streams", async () => {
      using scratch = new ScratchRoot();
      const { chainId } = await filled(scratch, driver);
      await using before = await scratch.open();
      await using _dockerd = await FakeDockerd.start(["--data-root", scratch.root]);
      await using after = await scratch.open();
      for (const store of [before, after]) {
        const listed = changeListing(scratch.root);
        const takers = {
          register: (stream: ReadableStream<Uint8Array>) => store.register(stream),
          applyDiff: (stream: ReadableStream<Uint8Array>) => store.applyDiff("writable", stream),
          load: (stream: ReadableStream<Uint8Array>) => new ImageStore(store).load({ kind: "stream", stream }),
        };
        for (const [what, take] of Object.entries(takers)) {
          let cancelled: unknown;
          const stream = new ReadableStream<Uint8Array>({
            pull: (controller) => controller.error(new Error("it was read")),
            cancel: (reason) => void (cancelled = reason),
          }, { highWaterMark: 0 });
          await assert.rejects(take(stream), isLocked, what);
          assert.ok(isLocked(cancelled), what);
        }
        await assert.rejects(store.createRWLayer("new", { parent: chainId }), isLocked);
        await assert.rejects(store.releaseRWLayer("writable"), isLocked);
        await assert.rejects(store.commit("writable"), isLocked);
        await assert.rejects(store.mount(chainId), isLocked);
        await assert.rejects(store.catalog.add(chainId), isLocked);
        assert.deepEqual(changedPaths(listed, changeListing(scratch.root)), []);
      }
    });

    it("takes writes when the dockerd has ended, and knows the handles from before", async () => {
      using scratch = new ScratchRoot();
      const { chainId } = await filled(scratch, driver);
      await using store = await scratch.open();
      {
        await using _dockerd = await FakeDockerd.start(["--data-root", scratch.root]);
        store.get(chainId);
      }
      const top = await store.register(streamOf(MORE), { parent: chainId });
      await using other = await scratch.open();
      await other.releaseRWLayer("writable");
      assert.equal(other.layers().layers.size, 2);
      await store.release(top);
      assert.equal(other.get(chainId).chainId, chainId, "the first handle still counts");
    });

    it("is not made for a driver that has nothing there", async () => {
      using scratch = new ScratchRoot();
      mkdirSync(`${scratch.root}/containers`, { recursive: true });
      await using _dockerd = await FakeDockerd.start(["--data-root", scratch.root]);
      await assert.rejects(scratch.open({ driver }), (error) => hasCode(error, "NOT_SUPPORTED"));
      assert.deepEqual(readdirSync(scratch.root), ["containers"]);
    });
  });
}

/** A store with a layer and a writable layer on it, and with the directory that every dockerd makes. */
async function filled(scratch: ScratchRoot, driver: string) {
  await using store = await scratch.open({ driver });
  const layer = await store.register(streamOf(TAR));
  await store.createRWLayer("writable", { parent: layer.chainId });
  mkdirSync(`${scratch.root}/containers`);
  return layer;
}

function isLocked(error: unknown): boolean {
  return hasCode(error, "LOCKED");
}
