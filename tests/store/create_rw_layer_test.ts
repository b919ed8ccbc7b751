// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, display, hasCode, type LayerStore } from "../../mod.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/hosts", "from the image\n")]);

for (const driver of DRIVERS) {
  describe(`createRWLayer() with an init function on ${driver}`, () => {
    for (const parentage of ["on a layer", "on nothing"] as const) {
      it(`shows what it did in the tree, and never as a change, ${parentage}`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const parent = parentage === "on a layer" ? await registerBase(store) : undefined;
        const rw = await store.createRWLayer("rw", { ...(parent === undefined ? {} : { parent }), initFunction });
        const { initId } = store.rwLayers().mounts.get(rw.name)!;
        assert.equal(initId, `${rw.mountId}-init`);
        assert.equal(readFileSync(recordFile({ scratch, driver }, "init-id"), "utf8"), initId);
        assert.deepEqual([await rw.changes(), await rw.sizeBytes()], [[], 0]);

        const path = await rw.mount();
        assert.equal(readFileSync(join(path, "etc/hosts"), "utf8"), "from init\n");
        writeFileSync(join(path, "etc/resolv.conf"), "changed by the container\n");
        writeFileSync(join(path, "own"), "own\n");
        await rw.unmount();
        const changed = (await rw.changes()).map(({ path, kind }) => `${kind} ${display(path)}`);
        assert.deepEqual(changed.filter((line) => !/^modify (etc)?$/.test(line)), [
          "modify etc/resolv.conf",
          "add own",
        ]);
        assert.equal(await rw.sizeBytes(), "changed by the container\nown\n".length);

        const committed = await store.commit("rw");
        const text = new TextDecoder("latin1").decode(await bytesOf(committed.tarStream()));
        assert(text.includes("changed by the container") && !text.includes("from init") && !text.includes("dev/"));
        assert.deepEqual(await bytesOf(committed.tarStream()), await bytesOf(rw.tarStream()));
        await store.release(committed);
        await store.releaseRWLayer(rw);
        assert.equal(scratch.layerDirs(driver).length, parent === undefined ? 0 : 1, "no init layer is left");
      });
    }

    it("is given up whole when it fails", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      const failure = new Error("no such device");
      const failing = (path: string): Promise<void> => {
        initFunction(path);
        return Promise.reject(failure);
      };
      await assert.rejects(store.createRWLayer("rw", { parent, initFunction: failing }), failure);
      assert.equal(scratch.layerDirs(driver).length, 1);
      assert.equal(store.rwLayers().mounts.size, 0);
      assert.deepEqual(store.mounts(), []);
      await store.createRWLayer("rw", { parent, initFunction });
    });

    it("is given up whole when the name is taken meanwhile, or the record cannot be written", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      const taking = async (): Promise<void> => void await store.createRWLayer("rw", { parent });
      await assert.rejects(
        store.createRWLayer("rw", { parent, initFunction: taking }),
        (error) => hasCode(error, "CONFLICT") && error.detail.kind === "writable layer",
      );
      assert.equal(scratch.layerDirs(driver).length, 2);
      await store.releaseRWLayer("rw");
      const mounts = join(scratch.root, `image/${driver}/layerdb/mounts`);
      rmSync(mounts, { recursive: true });
      writeFileSync(mounts, "not a directory");
      await assert.rejects(store.createRWLayer("rw", { parent, initFunction }));
      assert.equal(scratch.layerDirs(driver).length, 1);
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is not run for a name or parent that cannot be used", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = `sha256:${"0".repeat(64)}` as ChainId;
      const initFunction = (): void => assert.fail("it ran");
      await assert.rejects(store.createRWLayer("a/b", { initFunction }), (error) => hasCode(error, "INVALID_ARGUMENT"));
      await assert.rejects(store.createRWLayer("a", { parent, initFunction }), (error) => hasCode(error, "NOT_FOUND"));
      assert.deepEqual(scratch.layerDirs(driver), []);
    });
  });

  describe(`createRWLayer() that is aborted on ${driver}`, () => {
    it("leaves nothing behind, whenever that happens", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      const before = AbortSignal.abort();
      const rejected = (error: unknown): boolean => hasCode(error, "ABORTED");
      await assert.rejects(store.createRWLayer("rw", { parent, initFunction, signal: before }), rejected);
      const during = new AbortController();
      const aborting = (path: string): void => {
        initFunction(path);
        during.abort();
      };
      const options = { parent, initFunction: aborting, signal: during.signal };
      await assert.rejects(store.createRWLayer("rw", options), rejected);
      const after = new AbortController();
      const making = store.createRWLayer("rw", { parent, signal: after.signal });
      after.abort();
      await assert.rejects(making, rejected);
      assert.deepEqual([scratch.layerDirs(driver).length, store.rwLayers().mounts.size], [1, 0]);
      await store.createRWLayer("rw", { parent });
    });

    it(
      "ends at once, also while a large tree is being copied",
      { skip: driver !== "vfs" && "nothing is copied" },
      async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const files = Array.from({ length: 20_000 }, (_, index) => file(`f${index}`));
        const { chainId: parent } = await store.register(streamOf(layerTar(files)));
        const abort = new AbortController();
        const making = store.createRWLayer("rw", { parent, signal: abort.signal });
        while (scratch.layerDirs(driver).length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
        const begin = performance.now();
        abort.abort();
        await assert.rejects(making, (error) => hasCode(error, "ABORTED"));
        assert(performance.now() - begin < 5000);
        assert.equal(scratch.layerDirs(driver).length, 1);
      },
    );
  });

  describe(`a restart with writable layers on ${driver}`, () => {
    it("finds them with their init layers, changes and mounts", async () => {
      using scratch = new ScratchRoot();
      let parent: ChainId;
      let mountId: string;
      {
        await using store = await scratch.open({ driver });
        parent = await registerBase(store);
        const rw = await store.createRWLayer("rw", { parent, initFunction });
        mountId = rw.mountId;
        writeFileSync(join(await rw.mount(), "own"), "own\n");
      }
      await using store = await scratch.open({ driver });
      const rw = store.getRWLayer("rw");
      assert.deepEqual([rw.mountId, store.getMountId("rw"), rw.parentChainId], [mountId, mountId, parent]);
      assert.equal(rw.parent()?.chainId, parent);
      assert.equal(store.mounts()[0]?.count, 1, "the mount outlives the store object");
      assert.deepEqual((await rw.changes()).map(({ path }) => display(path)).filter((path) => path !== ""), ["own"]);
      assert.deepEqual(await store.release(store.get(parent)), [], "the writable layer keeps it");
      assert.equal(await rw.unmount(), 0);
      const deleted = await store.releaseRWLayer(rw);
      assert.deepEqual(deleted.map(({ chainId }) => chainId), [parent]);
      assert.deepEqual(scratch.layerDirs(driver), []);
    });
  });
}

/** What Docker's daemon does, less the owners. */
function initFunction(path: string): void {
  for (const name of ["dev", "dev/pts", "proc", "etc"]) mkdirSync(join(path, name), { recursive: true });
  writeFileSync(join(path, "etc/hosts"), "from init\n");
  writeFileSync(join(path, "etc/resolv.conf"), "");
  assert(existsSync(join(path, "etc/hosts")));
}

async function registerBase(store: LayerStore): Promise<ChainId> {
  return (await store.register(streamOf(BASE))).chainId;
}

interface Place {
  readonly scratch: ScratchRoot;
  readonly driver: string;
}

function recordFile({ scratch, driver }: Place, name: string): string {
  return join(scratch.root, `image/${driver}/layerdb/mounts/rw`, name);
}
