// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode, type Layer, type LayerStore, parseChainId } from "../../mod.ts";
import { dir, file, layerTar, opaque, whiteout } from "../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([
  dir("etc"),
  file("etc/motd", "hello\n"),
  file("etc/old", "old\n"),
  dir("opt"),
  file("opt/a", "a"),
]);
const MIDDLE = layerTar([file("etc/motd", "changed\n"), whiteout("etc/old"), file("mid", "middle\n")]);
const TOP = layerTar([opaque("opt"), file("opt/b", "bb"), file("top", "top\n")]);
const NOBODY = parseChainId(`sha256:${"0".repeat(64)}`);

for (const driver of DRIVERS) {
  describe(`a layer on ${driver}`, () => {
    it("tells its identity, its sizes, and what is below", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [base, middle, top] = await registerChain(store);
      assert.equal(base.parent(), undefined);
      assert.deepEqual([base.parentChainId, top.parentChainId], [undefined, middle.chainId]);
      const below = top.parent();
      assert.equal(below?.chainId, middle.chainId);
      assert.equal(below?.parent()?.diffId, base.diffId);
      assert.equal(below?.parent()?.parent(), undefined);
      assert.equal(base.sizeBytes(), base.diffSizeBytes);
      assert.equal(top.sizeBytes(), base.diffSizeBytes + middle.diffSizeBytes + top.diffSizeBytes);
      assert.deepEqual(await bytesOf(below!.tarStream()), MIDDLE);
    });

    it("tells where the driver has it", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [base, middle] = await registerChain(store);
      const facts = middle.metadata();
      if (driver === "vfs") assert(existsSync(join(facts["SourceDir"]!, "mid")));
      else {
        assert(existsSync(join(facts["UpperDir"]!, "mid")));
        assert.equal(facts["LowerDir"], base.metadata()["UpperDir"]);
        assert.equal("LowerDir" in base.metadata(), false);
      }
    });

    it("gives its tar as it was registered", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layers = await registerChain(store);
      for (const [index, tar] of [BASE, MIDDLE, TOP].entries()) {
        assert.deepEqual(await bytesOf(layers[index]!.tarStream()), tar);
      }
    });

    it("gives what it changes of a layer below, which is the same tree", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [base, middle, top] = await registerChain(store);
      const both = await store.register(top.tarStreamFrom(base.chainId), { parent: base.chainId });
      assert.deepEqual(await store.changes(top.chainId, both.chainId), []);
      const one = await store.register(top.tarStreamFrom(middle.chainId), { parent: middle.chainId });
      assert.deepEqual(await store.changes(top.chainId, one.chainId), []);
      const flat = await store.register(top.tarStreamFrom());
      assert.equal(flat.parentChainId, undefined);
      assert.deepEqual(await store.changes(top.chainId, flat.chainId), []);
      const again = await store.register(base.tarStreamFrom());
      assert.deepEqual(await store.changes(base.chainId, again.chainId), []);
    });

    it("gives nothing from a layer that it does not lie on", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [base, middle, top] = await registerChain(store);
      const cases = [[top, top.chainId], [middle, top.chainId], [base, base.chainId], [top, NOBODY]] as const;
      for (const [layer, ref] of cases) {
        assert.throws(() => layer.tarStreamFrom(ref), (error) => {
          assert(hasCode(error, "NOT_A_PARENT"), String(error));
          assert.deepEqual(error.detail, { ref, of: layer.chainId });
          return true;
        });
      }
    });

    it("ends its streams when their signal fires", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const big = layerTar([file("big", new Uint8Array(8_000_000).fill(3))]);
      const layer = await store.register(streamOf(big));
      for (const make of [layer.tarStream, layer.tarStreamFrom.bind(layer, undefined)]) {
        const abort = new AbortController();
        const reader = make.call(layer, { signal: abort.signal }).getReader();
        assert((await reader.read()).value!.length < big.length);
        abort.abort();
        await assert.rejects(drain(reader), (error) => hasCode(error, "ABORTED"));
      }
      assert.equal((await store.verify(layer.chainId)).state, "ok");
    });

    it("fails to give a tar that was tampered with, in the stream", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const [base] = await registerChain(store);
      const facts = base.metadata();
      writeFileSync(join(facts["UpperDir"] ?? facts["SourceDir"]!, "etc/motd"), "HELLO\n");
      await assert.rejects(bytesOf(base.tarStream()), (error) => hasCode(error, "CORRUPT"));
      rmSync(join(facts["UpperDir"] ?? facts["SourceDir"]!, "etc/motd"));
      await assert.rejects(bytesOf(base.tarStream()), (error) => hasCode(error, "CORRUPT"));
    });
  });

  describe(`map() on ${driver}`, () => {
    it("gives views of all layers, which are no handles", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layers = await registerChain(store);
      const map = store.map();
      assert.deepEqual([...map.keys()].sort(), layers.map(({ chainId }) => chainId).sort());
      for (const view of map.values()) {
        await assert.rejects(store.release(view), (error) => {
          assert(hasCode(error, "NOT_RETAINED"));
          assert.deepEqual(error.detail, { kind: "layer", ref: view.chainId });
          return true;
        });
      }
      const [base, middle, top] = layers;
      await store.release(base);
      await store.release(middle);
      assert.equal((await store.release(top)).length, 3, "views keep nothing");
      for (const view of map.values()) assert.deepEqual(await store.release(view), [], "a layer that is gone");
      assert.equal(store.map().size, 0);
    });

    it("holds layers that nobody has a handle of, after a restart, too", async () => {
      using scratch = new ScratchRoot();
      const chainIds = await opened(scratch, driver, async (store) => {
        return (await registerChain(store)).map(({ chainId }) => chainId);
      });
      await using store = await scratch.open({ driver });
      assert.deepEqual([...store.map().keys()].sort(), [...chainIds].sort());
      const top = store.map().get(chainIds[2]!)!;
      assert.deepEqual(await bytesOf(top.tarStream()), TOP);
      assert.equal((await store.release(store.get(top.chainId))).length, 3);
    });
  });

  describe(`release() of one handle twice on ${driver}`, () => {
    it("is refused while the layer lives, and nothing once it is gone", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(BASE));
      const other = store.get(layer.chainId);
      assert.deepEqual(await store.release(layer), []);
      await assert.rejects(store.release(layer), (error) => hasCode(error, "NOT_RETAINED"));
      assert.equal((await store.release(other)).length, 1);
      assert.deepEqual(await store.release(layer), []);
      assert.deepEqual(await store.release(other), []);
      const back = await store.register(streamOf(BASE));
      await assert.rejects(store.release(other), (error) => hasCode(error, "NOT_RETAINED"), "an old handle");
      assert.equal((await store.release(back)).length, 1);
    });
  });

  describe(`driver facts on ${driver}`, () => {
    it("are those of info()", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      assert.equal(store.driverName, driver);
      assert.deepEqual(store.driverStatus(), store.info().status);
      assert.equal(store.driverStatus()[0]?.[0], "Backing Filesystem");
    });
  });

  describe(`registerWithDescriptor() on ${driver}`, () => {
    it("keeps the descriptor in Docker's form, for every process", async () => {
      using scratch = new ScratchRoot();
      const descriptor = {
        mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        size: 42,
        digest: `sha256:${"a".repeat(64)}`,
        urls: ["https://example.com/layer"],
        annotations: { key: "value" },
        platform: { architecture: "amd64", os: "linux" },
      };
      const chainId = await opened(scratch, driver, async (store) => {
        const layer = await store.registerWithDescriptor(streamOf(BASE), { descriptor });
        assert.deepEqual(layer.descriptor, descriptor);
        const plain = await store.register(streamOf(BASE));
        assert.deepEqual(plain.descriptor, descriptor, "of the layer that was here before");
        const other = await store.register(streamOf(MIDDLE), { parent: layer.chainId });
        assert.equal(other.descriptor, undefined);
        assert.equal(existsSync(recordFile({ scratch, driver }, other.chainId)), false);
        return layer.chainId;
      });
      assert.equal(readFileSync(recordFile({ scratch, driver }, chainId), "utf8"), JSON.stringify(descriptor));
      await using store = await scratch.open({ driver });
      assert.deepEqual(store.get(chainId).descriptor, descriptor);
      writeFileSync(recordFile({ scratch, driver }, chainId), "{");
      assert.throws(() => store.get(chainId), (error) => hasCode(error, "CORRUPT"));
    });
  });
}

async function registerChain(store: LayerStore): Promise<[Layer, Layer, Layer]> {
  const base = await store.register(streamOf(BASE));
  const middle = await store.register(streamOf(MIDDLE), { parent: base.chainId });
  const top = await store.register(streamOf(TOP), { parent: middle.chainId });
  return [base, middle, top];
}

async function opened<T>(scratch: ScratchRoot, driver: string, act: (store: LayerStore) => Promise<T>): Promise<T> {
  await using store = await scratch.open({ driver });
  return await act(store);
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read()).done);
}

interface Place {
  readonly scratch: ScratchRoot;
  readonly driver: string;
}

function recordFile({ scratch, driver }: Place, chainId: string): string {
  return join(scratch.root, `image/${driver}/layerdb/sha256`, chainId.slice(7), "descriptor.json");
}
