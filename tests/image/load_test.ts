// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { listImages } from "../../src/image/images.ts";
import { type LoadedImage, loadImage, type LoadProgress } from "../../src/image/load.ts";
import type { ImageSource } from "../../src/image/open_source.ts";
import { symlink } from "../../src/testing/layer_builder.ts";
import { refusal } from "../metadata/store_dir.ts";
import {
  archiveOf,
  type BuiltImage,
  configOf,
  dockerFiles,
  json,
  layerOf,
  ociFiles,
  ociImage,
  ociIndex,
} from "../support/image_builder.ts";
import { bytesOf, DRIVERS, streamOf } from "../support/scratch_store.ts";
import { BASE, CHAIN, IMAGE, IMAGE_ID, onStore, refuses, TOP } from "./load_bench.ts";

const NAME = "org.opencontainers.image.ref.name";
const FULL_NAME = "io.containerd.image.name";

function namesOf(images: readonly LoadedImage[]): (readonly string[])[] {
  return images.map(({ names }) => names);
}

for (const driver of DRIVERS) {
  describe(`loadImage() on ${driver}`, () => {
    const { descriptor, files } = ociImage(IMAGE);
    const named = { ...descriptor, annotations: { [NAME]: "localhost/top:1" } };
    for (
      const [what, saved] of Object.entries({
        "a docker-archive": archiveOf(dockerFiles([[["localhost/top:1"], IMAGE]])),
        "a docker-archive's directory": dockerFiles([[["localhost/top:1"], IMAGE]]),
        "an OCI archive": archiveOf(ociFiles([named], { files })),
        "an OCI layout": ociFiles([named], { files }),
        "a compressed archive": new Uint8Array(gzipSync(archiveOf(ociFiles([named], { files })))),
      })
    ) {
      it(`takes in ${what}`, () =>
        onStore(async ({ context, store, load }) => {
          const [image] = await load(saved);
          assert.equal(image?.imageId, IMAGE_ID);
          assert.equal(image.chainId, CHAIN);
          assert.deepEqual(image.names, ["localhost/top:1"]);
          assert.deepEqual(image.layers.map(({ state }) => state), ["new", "new"]);
          for (const [i, { tar }] of IMAGE.layers.entries()) {
            assert.deepEqual(await bytesOf(store.export(image.layers[i]!.chainId)), tar);
          }
          assert.deepEqual(context.images.get(image.imageId).bytes, configOf(IMAGE));
          const { images: [summary], findings } = listImages(context);
          assert.deepEqual(findings, []);
          assert.deepEqual([summary?.names, summary?.layerCount], [["localhost/top:1"], 2]);
          assert.equal(typeof summary?.sizeBytes, "number");
          assert.equal(context.holds.countOf(CHAIN), 0);
        }, driver));
    }
  });
}

describe("loadImage()", () => {
  it("reads a stream", () =>
    onStore(async ({ context }) => {
      for (
        const bytes of [archiveOf(dockerFiles([[["a"], IMAGE]])), gzipSync(archiveOf(dockerFiles([[["b"], IMAGE]])))]
      ) {
        const source: ImageSource = { kind: "stream", stream: streamOf(bytes, 100) };
        assert.equal((await loadImage(context, source))[0]?.imageId, IMAGE_ID);
      }
      assert.deepEqual(listImages(context).images.map(({ names }) => names), [["a:latest", "b:latest"]]);
    }));

  it("loads all images of an archive, and takes layers that they share in once", () =>
    onStore(async ({ load, scratch }) => {
      const loaded = await load(archiveOf(dockerFiles([[["a:1", "a:2"], IMAGE], [null, { layers: [BASE] }]])));
      assert.deepEqual(namesOf(loaded), [["a:1", "a:2"], []]);
      assert.deepEqual(loaded[1]?.layers.map(({ state }) => state), ["known"]);
      assert.equal(scratch.layerDirs("vfs").length, 2);
    }));

  it("does not read layers that are here", () =>
    onStore(async ({ load }) => {
      await load(archiveOf(dockerFiles([[["a"], { layers: [BASE] }]])));
      const files = { ...dockerFiles([[["b"], IMAGE]]), [`${digestHex(digestOf(BASE.tar))}.tar`]: "damaged" };
      const seen: LoadProgress[] = [];
      const [image] = await load(archiveOf(files), { onProgress: (progress) => seen.push(progress) });
      assert.deepEqual(image?.layers.map(({ state }) => state), ["known", "new"]);
      const read = seen.filter(({ state }) => state === "reading");
      assert.deepEqual(new Set(read.map(({ diffId }) => String(diffId))), new Set([digestOf(TOP.tar)]));
      assert.equal(read.reduce((sum, { bytes }) => sum + bytes, 0), TOP.tar.length);
      assert.deepEqual(new Set(read.map(({ totalBytes }) => totalBytes)), new Set([TOP.tar.length]));
      assert.deepEqual(seen.filter(({ state }) => state === "known").map(({ diffId }) => String(diffId)), [
        digestOf(BASE.tar),
      ]);
    }));

  it("takes a layer in again that was damaged, and those that it cannot count on for that", () =>
    onStore(async ({ context, load, store }) => {
      const saved = archiveOf(dockerFiles([[["a"], IMAGE]]));
      const [first] = await load(saved);
      writeFileSync(join(context.layout.layerDir(first!.layers[0]!.chainId), "size"), "damaged");
      const [again] = await load(saved);
      assert.deepEqual(again?.layers.map(({ state }) => state), ["new", "new"]);
      assert.deepEqual(await bytesOf(store.export(again!.layers[0]!.chainId)), BASE.tar);
      assert.equal(context.layerDb.list().broken.length, 0);
    }));

  it("takes an image with the same layer twice, with layers of other compressions, and with none", () =>
    onStore(async ({ load, store }) => {
      const twice = await load(archiveOf(dockerFiles([[["a"], { layers: [BASE, BASE] }]])));
      assert.equal(new Set(twice[0]?.layers.map(({ chainId }) => chainId)).size, 2);
      const gzipped = ociImage({
        layers: [{ ...TOP, blob: gzipSync(TOP.tar), mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip" }],
      });
      const [image] = await load(ociFiles([gzipped.descriptor], gzipped));
      assert.deepEqual(await bytesOf(store.export(image!.chainId!)), TOP.tar);
      const [empty] = await load(archiveOf(dockerFiles([[["empty"], { layers: [] }]])));
      assert.equal(empty?.chainId, undefined);
      assert.deepEqual(empty?.layers, []);
    }));

  it("notes for Docker which layers the blobs hold that have digests, and no others", () =>
    onStore(async ({ load, context }) => {
      const dir = `${context.layout.imageDir}/distribution/diffid-by-digest/sha256`;
      await load(archiveOf(dockerFiles([[["name:1"], { layers: [layerOf("etc/other", "other\n")] }]])));
      assert.equal(existsSync(dir), false);
      const image: BuiltImage = { layers: [{ ...BASE, blob: gzipSync(BASE.tar) }, TOP] };
      const { descriptor, files } = ociImage(image);
      await load(ociFiles([descriptor], { files }));
      const noted = readdirSync(dir).map((name) => [name, readFileSync(join(dir, name), "utf8")]);
      const expected = image.layers.map(({ tar, blob }) => [digestHex(digestOf(blob ?? tar)), digestOf(tar)]);
      assert.deepEqual(noted.sort(), expected.sort());
    }));

  it("follows links inside the archive", () =>
    onStore(async ({ load }) => {
      const { "manifest.json": _manifest, ...files } = dockerFiles([[["a"], IMAGE]]);
      const layers = IMAGE.layers.map(({ tar }) => digestHex(digestOf(tar)));
      const manifest = [{
        Config: `${digestHex(IMAGE_ID)}.json`,
        RepoTags: ["a"],
        Layers: layers.map((hex) => `links/${hex}/layer.tar`),
      }];
      const links = layers.map((hex) => symlink(`links/${hex}/layer.tar`, `../../../${hex}.tar`));
      const [image] = await load(archiveOf({ ...files, "manifest.json": json(manifest) }, links));
      assert.equal(image?.imageId, IMAGE_ID);
    }));

  it("gives the name that is asked for, to one image", () =>
    onStore(async ({ load }) => {
      assert.deepEqual(namesOf(await load(archiveOf(dockerFiles([[["a"], IMAGE]])), { name: "docker.io/library/b" })), [
        ["b:latest"],
      ]);
      const two = archiveOf(dockerFiles([[["c"], IMAGE], [["d"], { layers: [BASE] }]]));
      await assert.rejects(load(two, { name: "e" }), refusal("INVALID_ARGUMENT", "2 images"));
      await assert.rejects(load(two, { name: "E" }), refusal("INVALID_ARGUMENT"));
    }));

  it("takes a layout's full names, and says why a bare tag is none", () =>
    onStore(async ({ load }) => {
      const { descriptor, files } = ociImage(IMAGE);
      const tag = await load(ociFiles([{ ...descriptor, annotations: { [NAME]: "1" } }], { files }));
      assert.deepEqual(namesOf(tag), [[]]);
      assert.match(tag[0]?.notes.join() ?? "", /"1" is only a tag/);
      const annotations = { [NAME]: "1", [FULL_NAME]: "docker.io/library/top:1" };
      assert.deepEqual(namesOf(await load(ociFiles([{ ...descriptor, annotations }], { files }))), [["top:1"]]);
    }));

  it("aborts, and leaves nothing", () =>
    onStore(async ({ load, context }) => {
      const controller = new AbortController();
      const load1 = load(archiveOf(dockerFiles([[["a"], IMAGE]])), {
        signal: controller.signal,
        onProgress: () => controller.abort(),
      });
      await assert.rejects(load1, refusal("ABORTED"));
      assert.deepEqual(listImages(context).images, []);
      await assert.rejects(load(archiveOf(dockerFiles([[["a"], IMAGE]])), { signal: AbortSignal.abort() }), {
        code: "ABORTED",
      });
    }));
});

describe("loadImage() for a platform", () => {
  const amd = ociImage(IMAGE);
  const armImage: BuiltImage = { layers: [BASE], config: { architecture: "arm", variant: "v6" } };
  const arm = ociImage(armImage);
  const platforms = [
    { ...amd.descriptor, platform: { os: "linux", architecture: "amd64" } },
    { ...arm.descriptor, platform: { os: "linux", architecture: "arm", variant: "v6" } },
    { ...arm.descriptor, digest: digestOf("gone"), platform: { os: "unknown", architecture: "unknown" } },
  ];
  const inner = ociIndex(platforms);
  const saved = ociFiles([{ ...inner.descriptor, annotations: { [FULL_NAME]: "top" } }], inner, amd, arm);

  it("chooses in an index, and in one below it", () =>
    onStore(async ({ load }) => {
      for (const files of [saved, ociFiles(platforms, amd, arm)]) {
        const [image, ...others] = await load(files, { platform: "linux/arm" });
        assert.deepEqual([image?.imageId, image?.platform], [digestOf(configOf(armImage)), "linux/arm/v6"]);
        assert.deepEqual(others, []);
        assert.equal((await load(files, { platform: "linux/x86_64" }))[0]?.imageId, IMAGE_ID);
      }
      assert.deepEqual(namesOf(await load(saved, { platform: "linux/arm/v6" })), [["top:latest"]]);
    }));

  it("takes the only one there is, unless another is asked for", () =>
    onStore(async ({ load }) => {
      const only = ociFiles([platforms[1]!], arm);
      assert.equal((await load(only))[0]?.platform, "linux/arm/v6");
      for (const files of [only, ociFiles([arm.descriptor], arm), dockerFiles([[["a"], armImage]])]) {
        await assert.rejects(load(files, { platform: "linux/amd64" }), refusal("NOT_FOUND", "linux/arm/v6"));
      }
    }));

  it("says what there is when none fits", () =>
    refuses(saved, ["NOT_FOUND", "linux/s390x", "linux/amd64, linux/arm/v6", "--platform"], {
      platform: "linux/s390x",
    }));

  it("reads indexes that list each other's manifests once", () =>
    onStore(async ({ load }) => {
      let level = ociIndex([platforms[0]!]);
      const files = [level];
      for (let i = 0; i < 40; i++) {
        const { descriptor } = level;
        level = ociIndex([descriptor, { ...descriptor, annotations: { again: String(i) } }]);
        files.push(level);
      }
      assert.equal((await load(ociFiles([level.descriptor], amd, ...files)))[0]?.imageId, IMAGE_ID);
    }));
});

describe("an archive that is Docker's and an OCI layout", () => {
  const { descriptor, files } = ociImage(IMAGE);
  const Config = `blobs/sha256/${digestHex(IMAGE_ID)}`;
  const Layers = IMAGE.layers.map(({ tar }) => `blobs/sha256/${digestHex(digestOf(tar))}`);
  const annotations = { [FULL_NAME]: "docker.io/library/fromindex:1" };
  const layout = ociFiles([{ ...descriptor, annotations }], { files });

  it("is named by Docker's list, or else by the layout", () =>
    onStore(async ({ load }) => {
      const withTags = { ...layout, "manifest.json": json([{ Config, RepoTags: ["fromlist:1"], Layers }]) };
      assert.deepEqual(namesOf(await load(archiveOf(withTags))), [["fromlist:1"]]);
      const without = { ...layout, "manifest.json": json([{ Config, RepoTags: null, Layers }]) };
      assert.deepEqual(namesOf(await load(archiveOf(without))), [["fromindex:1"]]);
    }));

  it("is refused when the two disagree", () => {
    const other = dockerFiles([[["top"], { layers: [TOP] }]]);
    return refuses({ ...layout, ...other }, ["INVALID_ARCHIVE", "manifest.json", "index.json"]);
  });

  it("is refused when a file is not what its name says", () => {
    const manifest = json([{ Config, RepoTags: ["top"], Layers }]);
    return refuses({ ...layout, "manifest.json": manifest, [Layers[0]!]: TOP.tar }, ["DIGEST_MISMATCH"]);
  });
});
