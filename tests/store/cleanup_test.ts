// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode, type Layer } from "../../mod.ts";
import { digestHex } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const ONE = layerTar([file("one", "one\n")]);
const TWO = layerTar([file("two", "two\n")]);
const RANDOM = "5".repeat(64);

for (const driver of DRIVERS) {
  describe(`cleanup() on ${driver}`, () => {
    it("finishes deletions that were cut short, and nothing else", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const gone = await store.register(streamOf(ONE));
      const kept = await store.register(streamOf(TWO));
      const rw = await store.createRWLayer("rw", { parent: kept.chainId, initFunction: () => {} });
      renameSync(recordDir({ scratch, driver }, gone), `${recordDir({ scratch, driver }, gone)}-${RANDOM}-removing`);
      assert.throws(() => store.get(gone.chainId), (error) => hasCode(error, "NOT_FOUND"));
      assert.equal(scratch.layerDirs(driver).length, 4, "opening and reading deletes nothing");

      assert.deepEqual(await store.cleanup(), { finished: [gone.chainId], failed: [] });
      assert.deepEqual(readdirSync(join(recordDir({ scratch, driver }, kept), "..")), [digestHex(kept.chainId)]);
      assert.equal(scratch.layerDirs(driver).length, 3);
      assert.deepEqual(await bytesOf(kept.tarStream()), TWO);
      assert.deepEqual(await rw.changes(), []);
      assert.deepEqual(await store.cleanup(), { finished: [], failed: [] });
    });

    it("leaves data that a live layer names, and records that name none", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(ONE));
      cpSync(recordDir({ scratch, driver }, layer), `${recordDir({ scratch, driver }, layer)}-${RANDOM}-removing`, {
        recursive: true,
      });
      const nameless = join(recordDir({ scratch, driver }, layer), `../${"0".repeat(64)}-${RANDOM}-removing`);
      mkdirSync(nameless);
      const stray = join(recordDir({ scratch, driver }, layer), "../not-a-digest-removing");
      mkdirSync(stray);
      assert.equal((await store.cleanup()).finished.length, 2);
      assert.deepEqual(await bytesOf(layer.tarStream()), ONE);
      assert.equal(existsSync(nameless), false);
      assert(existsSync(stray), "what is no layer is not touched");
    });

    it("unmounts what is left, unless something of the store is mounted", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await store.register(streamOf(ONE));
      const rw = await store.createRWLayer("rw", { parent: layer.chainId });
      const path = await rw.mount();
      await store.cleanup();
      assert(existsSync(join(path, "one")), "it is still mounted");
      assert.equal(await rw.unmount(), 0);
      await store.cleanup();
      assert.deepEqual(store.mounts(), []);
    });
  });
}

interface Place {
  readonly scratch: ScratchRoot;
  readonly driver: string;
}

function recordDir({ scratch, driver }: Place, layer: Layer): string {
  return join(scratch.root, `image/${driver}/layerdb/sha256`, digestHex(layer.chainId));
}
