// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EMPTY_DIFF_ID, EMPTY_LAYER, hasCode, isEmptyLayer, parseDiffId } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

describe("EMPTY_LAYER", () => {
  it("is 1024 NULs and nothing else", async () => {
    const tar = await bytesOf(EMPTY_LAYER.tarStream());
    assert.deepEqual(tar, new Uint8Array(1024));
    assert.deepEqual(await bytesOf(EMPTY_LAYER.tarStreamFrom()), tar);
    assert.equal(digestOf(tar), EMPTY_LAYER.diffId);
    assert.equal(String(EMPTY_LAYER.chainId), EMPTY_LAYER.diffId);
    assert.deepEqual(
      [EMPTY_LAYER.parent(), EMPTY_LAYER.parentChainId, EMPTY_LAYER.sizeBytes(), EMPTY_LAYER.diffSizeBytes],
      [undefined, undefined, 0, 0],
    );
    assert.deepEqual(EMPTY_LAYER.metadata(), {});
    assert.equal(EMPTY_LAYER.descriptor, undefined);
  });

  it("lies on no layer, itself included", () => {
    assert.throws(() => EMPTY_LAYER.tarStreamFrom(EMPTY_LAYER.chainId), (error) => hasCode(error, "NOT_A_PARENT"));
  });

  it("is known by its DiffID", () => {
    assert(isEmptyLayer(EMPTY_DIFF_ID));
    assert(!isEmptyLayer(parseDiffId(digestOf("A"))));
  });

  for (const driver of DRIVERS) {
    it(`is in no store, and its content makes an ordinary layer on ${driver}`, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      assert.deepEqual(await store.release(EMPTY_LAYER), []);
      assert.throws(() => store.get(EMPTY_LAYER.chainId), (error) => hasCode(error, "NOT_FOUND"));
      const layer = await store.register(streamOf(new Uint8Array(1024)));
      assert.equal(layer.chainId, EMPTY_LAYER.chainId);
      const second = await store.register(streamOf(new Uint8Array(1024)), { parent: layer.chainId });
      assert.equal(second.chainId, "sha256:170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548");
      assert.deepEqual(await bytesOf(second.tarStream()), new Uint8Array(1024));
      await assert.rejects(store.release(EMPTY_LAYER), (error) => hasCode(error, "NOT_RETAINED"));
      assert.deepEqual((await store.release(layer)).length, 0);
      assert.deepEqual((await store.release(second)).map(({ chainId }) => chainId), [second.chainId, layer.chainId]);
    });
  }
});
