// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LayerStore } from "../../mod.ts";
import { listImages, removeImage, tagImage } from "../../src/image/images.ts";
import { loadImage } from "../../src/image/load.ts";
import type { StoreContext } from "../../src/store/context.ts";
import { refusal } from "../metadata/store_dir.ts";
import { archiveOf, dockerFiles, layerOf } from "../support/image_builder.ts";
import { ScratchRoot } from "../support/scratch_store.ts";

const BASE = layerOf("a", "A");
const OLD = { layers: [BASE], config: { created: "2020-01-01T00:00:00Z" } };
const NEW = { layers: [BASE, layerOf("b", "B")], config: { created: "2024-01-01T00:00:00Z" } };

/** A store with an old image of one layer and a new one with another layer on it. */
async function withImages(
  act: (bench: { context: StoreContext; store: LayerStore; scratch: ScratchRoot; ids: string[] }) => Promise<void>,
): Promise<void> {
  using scratch = new ScratchRoot();
  await using store = await scratch.open({ driver: "vfs" });
  const context = LayerStore.contextOf(store);
  const path = join(scratch.dir, "saved");
  writeFileSync(path, archiveOf(dockerFiles([[["old"], OLD], [["new:1"], NEW]])));
  const ids = (await loadImage(context, { kind: "path", path })).map(({ imageId }) => imageId);
  await act({ context, store, scratch, ids });
}

describe("listImages()", () => {
  it("tells of every image, the newest first", () =>
    withImages(async ({ context, ids }) => {
      await tagImage(context, "old", "older:1");
      const { images } = listImages(context);
      assert.deepEqual(images.map(({ imageId }) => imageId), [...ids].reverse());
      assert.deepEqual(images.map(({ names }) => names), [["new:1"], ["old:latest", "older:1"]]);
      assert.deepEqual(images.map(({ layerCount }) => layerCount), [2, 1]);
      assert.deepEqual(images.map(({ sizeBytes }) => sizeBytes), [2, 1]);
      assert.equal(images[0]?.platform, "linux/amd64");
    }));

  it("tells of images whose layers are damaged, without a size", () =>
    withImages(async ({ context }) => {
      const top = [...context.layerDb.list().layers.values()].find(({ parent }) => parent !== undefined)!;
      rmSync(context.layout.layerDir(top.chainId), { recursive: true });
      assert.deepEqual(listImages(context).images.map(({ sizeBytes }) => sizeBytes), [undefined, 1]);
      await removeImage(context, "new:1");
      assert.equal(listImages(context).images.length, 1);
    }));
});

describe("removeImage()", () => {
  it("removes a name, and with the last one the image and what it alone needed", () =>
    withImages(async ({ context, scratch, ids }) => {
      await tagImage(context, "new:1", "new:2");
      assert.deepEqual(await removeImage(context, "new:1"), { untagged: ["new:1"], layers: [] });
      const { untagged, deleted, layers } = await removeImage(context, "new:2");
      assert.deepEqual([untagged, deleted, layers.length], [["new:2"], ids[1], 1]);
      assert.equal(scratch.layerDirs("vfs").length, 1);
      const last = await removeImage(context, ids[0]!.slice("sha256:".length, 20));
      assert.deepEqual([last.untagged, last.deleted, last.layers.length], [["old:latest"], ids[0], 1]);
      assert.deepEqual(listImages(context), { images: [], findings: [] });
      assert.deepEqual(scratch.layerDirs("vfs"), []);
    }));

  it("keeps layers that a handle needs", () =>
    withImages(async ({ context, store }) => {
      const handle = store.get(listImages(context).images[0]!.chainId!);
      assert.deepEqual((await removeImage(context, "new:1")).layers, []);
      assert.equal((await store.release(handle)).length, 1);
    }));

  it("does not choose among several names", () =>
    withImages(async ({ context, ids }) => {
      await tagImage(context, "old", "older");
      await assert.rejects(removeImage(context, ids[0]!), refusal("IN_USE", "old:latest, older:latest"));
      await assert.rejects(removeImage(context, "nothing"), refusal("NOT_FOUND"));
    }));

  it("removes a damaged image", () =>
    withImages(async ({ context, ids }) => {
      writeFileSync(context.layout.imageConfigPath(context.images.resolve("new:1")), "{}");
      assert.equal((await removeImage(context, "new:1")).deleted, ids[1]);
    }));
});
