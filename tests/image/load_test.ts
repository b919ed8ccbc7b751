// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { createChainId } from "../../src/core/chain_id.ts";
import { type DiffId, digestHex, digestOf } from "../../src/core/digest.ts";
import { JSON_BYTES_MAX } from "../../src/core/limits.ts";
import { listImages } from "../../src/image/images.ts";
import { type LoadedImage, loadImage, type LoadOptions, type LoadProgress } from "../../src/image/load.ts";
import type { ImageSource } from "../../src/image/open_source.ts";
import type { StoreContext } from "../../src/store/context.ts";
import { LayerStore } from "../../src/store/layer_store.ts";
import { layerTar, symlink } from "../../src/testing/layer_builder.ts";
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
  ociManifest,
  type SavedFiles,
  writeFiles,
} from "../support/image_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerOf("etc/os", "base\n");
const TOP = layerOf("etc/top", "top\n");
const IMAGE: BuiltImage = { layers: [BASE, TOP] };
const CHAIN = createChainId(IMAGE.layers.map(({ tar }) => digestOf(tar) as DiffId));
const IMAGE_ID = digestOf(configOf(IMAGE));
const NAME = "org.opencontainers.image.ref.name";
const FULL_NAME = "io.containerd.image.name";

interface Bench {
  readonly context: StoreContext;
  readonly store: LayerStore;
  readonly scratch: ScratchRoot;
  /** Saves bytes as a file, or files as a directory, and loads it. */
  load(saved: Uint8Array | SavedFiles, options?: LoadOptions): Promise<LoadedImage[]>;
}

async function onStore(act: (bench: Bench) => Promise<void>, driver = "vfs"): Promise<void> {
  using scratch = new ScratchRoot();
  await using store = await scratch.open({ driver });
  const context = LayerStore.contextOf(store);
  let count = 0;
  const load = (saved: Uint8Array | SavedFiles, options?: LoadOptions) => {
    const path = join(scratch.dir, `saved-${count++}`);
    if (saved instanceof Uint8Array) writeFileSync(path, saved);
    else writeFiles(path, saved);
    return loadImage(context, { kind: "path", path }, options);
  };
  await act({ context, store, scratch, load });
  assert.deepEqual(scratch.leftovers(), []);
}

/** The image is refused so, and nothing of it is left. */
function refuses(saved: Uint8Array | SavedFiles, expected: Parameters<typeof refusal>, options?: LoadOptions) {
  return onStore(async ({ context, load, scratch }) => {
    await assert.rejects(load(saved, options), refusal(...expected));
    assert.deepEqual(listImages(context), { images: [], findings: [] });
    assert.equal(context.layerDb.list().layers.size, 0);
    assert.deepEqual(scratch.layerDirs("vfs"), []);
  });
}

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

describe("loadImage() refuses", () => {
  const { descriptor, files } = ociImage(IMAGE);
  const config = {
    mediaType: "application/vnd.oci.image.config.v1+json",
    digest: IMAGE_ID,
    size: configOf(IMAGE).length,
  };
  const layers = IMAGE.layers.map(({ tar }) => {
    return { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(tar), size: tar.length };
  });
  const withManifest = (fields: object) => {
    const manifest = ociManifest({ config, layers, ...fields });
    return ociFiles([manifest.descriptor], manifest, { files });
  };
  const withLayer = (change: object) => withManifest({ layers: [{ ...layers[0]!, ...change }, layers[1]!] });
  const blob = (digest: string) => `blobs/sha256/${digest.slice("sha256:".length)}`;
  const docker = dockerFiles([[["a"], IMAGE]]);

  const cases: Record<string, readonly [Uint8Array | SavedFiles, ...Parameters<typeof refusal>]> = {
    "an empty file": [new Uint8Array(0), "INVALID_ARCHIVE", "no member", "docker-archive"],
    "a text": [new TextEncoder().encode("hello".repeat(1000)), "INVALID_ARCHIVE", "not a tar archive"],
    "a layer's tar": [BASE.tar, "INVALID_ARCHIVE", "manifest.json", "strata register"],
    "an empty directory": [{ "x": "" }, "INVALID_ARCHIVE", "oci-layout"],
    "an archive of Docker before 1.10": [
      archiveOf({ repositories: "{}", "a/layer.tar": BASE.tar, "a/json": "{}" }),
      "INVALID_ARCHIVE",
      "before 1.10",
    ],
    "an archive that is cut short": [archiveOf(docker).slice(0, 2000), "INVALID_ARCHIVE", "cut short"],
    "a missing layer": [
      {
        ...Object.fromEntries(
          Object.entries(docker).filter(([name]) => !name.startsWith(digestHex(digestOf(TOP.tar)))),
        ),
      },
      "INVALID_ARCHIVE",
      "is missing",
    ],
    "a list without images": [{ "manifest.json": "[]" }, "INVALID_ARCHIVE", "lists no image"],
    "a list that is too long": [
      { "manifest.json": " ".repeat(JSON_BYTES_MAX + 1) },
      "LIMIT_EXCEEDED",
      String(JSON_BYTES_MAX),
    ],
    "a list that is not JSON": [{ "manifest.json": "{" }, "INVALID_ARCHIVE", "manifest.json", "not JSON"],
    "a name that is none": [dockerFiles([[["A B"], IMAGE]]), "INVALID_ARCHIVE", "A B"],
    "a config with another digest": [
      { ...docker, [`${digestHex(IMAGE_ID)}.json`]: configOf({ layers: [] }) },
      "DIGEST_MISMATCH",
      digestHex(IMAGE_ID),
    ],
    "a layer with another DiffID": [
      { ...docker, [`${digestHex(digestOf(BASE.tar))}.tar`]: TOP.tar },
      "DIGEST_MISMATCH",
      digestOf(BASE.tar),
    ],
    "more DiffIDs than layers": [
      dockerFiles([[["a"], { ...IMAGE, config: { rootfs: { type: "layers", diff_ids: [digestOf(BASE.tar)] } } }]]),
      "INVALID_ARCHIVE",
      "1 DiffIDs",
      "2 layers",
    ],
    "a manifest of another size": [
      ociFiles([{ ...descriptor, size: descriptor.size + 1 }], { files }),
      "DIGEST_MISMATCH",
      `${descriptor.size + 1} bytes`,
    ],
    "a manifest with another digest": [
      { ...ociFiles([descriptor], { files }), [blob(descriptor.digest)]: json({}).slice(0, 2) },
      "DIGEST_MISMATCH",
    ],
    "a manifest that is missing": [ociFiles([descriptor]), "INVALID_ARCHIVE", "is missing"],
    "a layout of another version": [
      { ...ociFiles([descriptor], { files }), "oci-layout": `{"imageLayoutVersion":"2.0.0"}` },
      "INVALID_ARCHIVE",
      "imageLayoutVersion",
    ],
    "a manifest that is an index, too": [
      withManifest({ manifests: [] }),
      "INVALID_ARCHIVE",
      "manifest and as an index",
    ],
    "an index that is a manifest, too": [
      {
        ...ociFiles([descriptor], { files }),
        "index.json": json({ schemaVersion: 2, manifests: [descriptor], layers }),
      },
      "INVALID_ARCHIVE",
      "manifest and as an index",
    ],
    "a manifest of another type than its descriptor": [
      withManifest({ mediaType: "application/vnd.oci.image.index.v1+json" }),
      "INVALID_ARCHIVE",
      "its descriptor says",
    ],
    "a manifest of schema 1": [withManifest({ schemaVersion: 1 }), "INVALID_ARCHIVE", "schemaVersion"],
    "a layer that is elsewhere": [
      withLayer({ mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" }),
      "NOT_SUPPORTED",
      "fetched from their owner",
    ],
    "a layer of an unknown type": [
      withLayer({ mediaType: "application/vnd.oci.image.layer.v1.tar+gzip+encrypted" }),
      "NOT_SUPPORTED",
      "encrypted",
    ],
    "an artifact": [withManifest({ config: { ...config, mediaType: "application/x" } }), "NOT_SUPPORTED", "artifact"],
    "a layer of another size": [
      withLayer({ size: BASE.tar.length - 1 }),
      "DIGEST_MISMATCH",
      `${BASE.tar.length} bytes`,
    ],
    "a layer with another digest": [
      { ...ociFiles([descriptor], { files }), [blob(digestOf(BASE.tar))]: Buffer.alloc(BASE.tar.length) },
      "DIGEST_MISMATCH",
      digestOf(BASE.tar),
    ],
    ...Object.fromEntries(
      [-1, 0.5, 2 ** 53, "1"].map((size) => [`a size of ${size}`, [withLayer({ size }), "INVALID_ARCHIVE", "size"]]),
    ),
    ...Object.fromEntries(
      [digestOf("").toUpperCase(), "sha256:00", "sha256:../../../../etc/passwd", `sha512:${"0".repeat(128)}`, ""]
        .map((digest) => [`the digest "${digest.slice(0, 20)}"`, [withLayer({ digest }), "INVALID_ARCHIVE", "digest"]]),
    ),
    "an index of artifacts only": [
      ociFiles([{ ...descriptor, mediaType: "application/x" }], { files }),
      "INVALID_ARCHIVE",
      "lists no image",
    ],
    "a file that the archive has twice": [
      Buffer.concat([archiveOf(docker).slice(0, -1024), archiveOf(docker)]),
      "INVALID_ARCHIVE",
      "twice",
    ],
    "links that run in a circle": [
      archiveOf({}, [symlink("manifest.json", "a"), symlink("a", "manifest.json")]),
      "INVALID_ARCHIVE",
      "circle",
    ],
  };
  for (const [what, [saved, ...expected]] of Object.entries(cases)) it(what, () => refuses(saved, expected));

  it("a path where nothing is", () =>
    onStore(async ({ context }) => {
      await assert.rejects(
        loadImage(context, { kind: "path", path: "/nonexistent/x" }),
        refusal("NOT_FOUND", "/nonexistent/x"),
      );
    }));

  it("a device", () =>
    onStore(async ({ context }) => {
      await assert.rejects(
        loadImage(context, { kind: "path", path: "/dev/null" }),
        refusal("INVALID_ARGUMENT", "char"),
      );
    }));

  it("a layout whose links lead out of its directory", () =>
    onStore(async ({ context, scratch }) => {
      const secret = join(scratch.dir, "secret");
      writeFileSync(secret, BASE.tar);
      const path = join(scratch.dir, "layout");
      const { [blob(digestOf(BASE.tar))]: _layer, ...rest } = ociFiles([descriptor], { files });
      writeFiles(path, rest);
      symlinkSync(secret, join(path, blob(digestOf(BASE.tar))));
      await assert.rejects(loadImage(context, { kind: "path", path }), refusal("INVALID_ARCHIVE", "leads out"));
    }));

  it("a stream whose archive is cut short, and removes what it kept of it", () =>
    onStore(async ({ context, scratch }) => {
      const bytes = gzipSync(archiveOf(docker));
      const stream = streamOf(bytes.subarray(0, bytes.length - 20));
      await assert.rejects(loadImage(context, { kind: "stream", stream }), refusal("INVALID_ARCHIVE", "gzip"));
      assert.deepEqual(scratch.leftovers(), []);
    }));

  it("an archive that passes a limit when decompressed", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs", limits: { unpackedBytesMax: 2000 } });
    const stream = streamOf(gzipSync(layerTar([])));
    await assert.rejects(
      loadImage(LayerStore.contextOf(store), { kind: "stream", stream }),
      refusal("INVALID_ARCHIVE"),
    );
    const long = streamOf(gzipSync(archiveOf(docker)));
    await assert.rejects(
      loadImage(LayerStore.contextOf(store), { kind: "stream", stream: long }),
      refusal("LIMIT_EXCEEDED", "unpackedBytesMax"),
    );
  });
});
