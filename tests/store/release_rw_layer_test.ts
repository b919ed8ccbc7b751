// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { display, hasCode, type Layer, type LayerStore } from "../../mod.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n")]);

for (const driver of DRIVERS) {
  describe(`handles of writable layers on ${driver}`, () => {
    it("remove the layer with the last of them", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await registerBase(store);
      const first = await store.createRWLayer("rw", { parent: base.chainId });
      const second = store.getRWLayer("rw");
      assert.notEqual(first, second);
      await store.release(base);
      assert.deepEqual(await store.releaseRWLayer(first), []);
      assert.deepEqual(await second.changes(), [], "it is still there");
      await assert.rejects(store.releaseRWLayer(first), (error) => {
        assert(hasCode(error, "NOT_RETAINED"));
        assert.deepEqual(error.detail, { kind: "writable layer", ref: "rw" });
        return true;
      });
      assert.deepEqual((await store.releaseRWLayer(second)).map(({ chainId }) => chainId), [base.chainId]);
      assert.deepEqual(await store.releaseRWLayer(second), [], "it is gone, and so is the handle");
      assert.deepEqual(scratch.layerDirs(driver), []);
      for (const missing of [() => store.getRWLayer("rw"), () => store.getMountId("rw")]) {
        assert.throws(missing, (error) => hasCode(error, "NOT_FOUND") && error.detail.kind === "writable layer");
      }
    });

    it("are of one store object", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const rw = await store.createRWLayer("rw");
      await assert.rejects(other.releaseRWLayer(rw), (error) => hasCode(error, "NOT_RETAINED"));
      await store.releaseRWLayer(rw);
    });

    it("do not reach a later layer of the same name", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const old = await store.createRWLayer("rw");
      await store.releaseRWLayer("rw");
      const now = await store.createRWLayer("rw");
      assert.deepEqual(await store.releaseRWLayer(old), []);
      const lost = (error: unknown): boolean => hasCode(error, "NOT_FOUND");
      await assert.rejects(old.mount(), lost);
      await assert.rejects(old.changes(), lost);
      await assert.rejects(old.applyDiff(streamOf(BASE)), lost);
      assert.throws(() => old.metadata(), lost);
      assert.throws(() => old.tarStream(), lost);
      assert.equal(await now.applyDiff(streamOf(BASE)), "hello\n".length);
    });

    it("stay when the layer cannot be removed, so that it can be tried again", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await registerBase(store);
      const rw = await store.createRWLayer("rw", { parent: base.chainId });
      await rw.mount();
      await assert.rejects(store.releaseRWLayer(rw), (error) => hasCode(error, "IN_USE"));
      assert.equal(await rw.unmount(), 0);
      assert.deepEqual(await store.releaseRWLayer(rw), []);
    });

    it("count their mounts with everybody's", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await registerBase(store);
      const rw = await store.createRWLayer("rw", { parent: base.chainId, mountLabel: "" });
      const path = await rw.mount();
      assert.equal(await store.mount("rw"), path);
      assert.equal(await store.getRWLayer("rw").mount({ label: "" }), path);
      assert.deepEqual([await rw.unmount(), await rw.unmount(), await rw.unmount()], [2, 1, 0]);
      await assert.rejects(rw.unmount(), (error) => hasCode(error, "NOT_FOUND") && error.detail.kind === "mount");
    });

    it("tell what they change, and take a tar in", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await registerBase(store);
      const rw = await store.createRWLayer("rw", { parent: base.chainId });
      assert.equal(rw.parent()?.chainId, base.chainId);
      assert.equal(await rw.applyDiff(streamOf(layerTar([file("etc/motd", "bye\n"), file("n", "n")]))), 5);
      const changed = (await rw.changes()).map(({ path, kind }) => `${kind} ${display(path)}`);
      assert.deepEqual(changed.filter((line) => !/^modify (etc)?$/.test(line)), ["modify etc/motd", "add n"]);
      assert.equal(await rw.sizeBytes(), 5);
      const tar = await bytesOf(rw.tarStream());
      assert.deepEqual(tar, await bytesOf(store.diff("rw")));
      assert.deepEqual(await bytesOf((await store.commit("rw")).tarStream()), tar);
    });

    it("tell where the driver has it, and its name as ID", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const rw = await store.createRWLayer("rw");
      const { ID, ...facts } = rw.metadata();
      assert.equal(ID, "rw");
      assert(Object.values(facts).some((path) => path.includes(rw.mountId)));
    });

    it("end what they compute when their signal fires", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const rw = await store.createRWLayer("rw");
      const path = await rw.mount();
      for (let i = 0; i < 300; i++) writeFileSync(join(path, `f${i}`), "x".repeat(20_000));
      await rw.unmount();
      const signal = AbortSignal.abort();
      const aborted = (error: unknown): boolean => hasCode(error, "ABORTED");
      await assert.rejects(rw.changes({ signal }), aborted);
      await assert.rejects(rw.sizeBytes({ signal }), aborted);
      await assert.rejects(bytesOf(rw.tarStream({ signal })), aborted);
      const acts: readonly ((signal: AbortSignal) => Promise<unknown>)[] = [
        (signal) => rw.changes({ signal }),
        (signal) => rw.sizeBytes({ signal }),
      ];
      for (const act of acts) {
        const abort = new AbortController();
        const working = act(abort.signal);
        abort.abort();
        await assert.rejects(working, aborted);
      }
      await assert.rejects(store.commit("rw", { signal }), aborted);
      assert.equal(store.map().size, 0);
      assert.equal((await rw.changes()).length, 301);
      await assert.rejects(rw.applyDiff(streamOf(BASE), { signal }), aborted);
      assert.equal((await rw.changes()).length, 301);
      assert.deepEqual(scratch.leftovers(), []);
    });
  });

  describe(`releaseRWLayer() of a damaged record on ${driver}`, () => {
    for (const [what, name, text] of [["a lost mount-id", "mount-id", undefined], ["a torn parent", "parent", "sha"]]) {
      it(`removes what is still known: ${what}`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const base = await registerBase(store);
        const rw = await store.createRWLayer("rw", { parent: base.chainId, initFunction: () => {} });
        const record = join(scratch.root, `image/${driver}/layerdb/mounts/rw`, name!);
        assert(existsSync(record) && readFileSync(record, "utf8").length > 0);
        if (text === undefined) rmSync(record);
        else writeFileSync(record, text);
        assert.throws(() => store.getRWLayer("rw"), (error) => hasCode(error, "CORRUPT"));
        await assert.rejects(store.createRWLayer("rw"), (error) => hasCode(error, "CONFLICT"));
        await store.releaseRWLayer(rw);
        assert.equal(scratch.layerDirs(driver).length, 1);
        assert.deepEqual(store.rwLayers().broken, []);
        await store.createRWLayer("rw");
      });
    }
  });
}

async function registerBase(store: LayerStore): Promise<Layer> {
  return await store.register(streamOf(BASE));
}
