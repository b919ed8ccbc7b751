// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { LayerStore } from "../../mod.ts";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { JSON_BYTES_MAX } from "../../src/core/limits.ts";
import { loadImage } from "../../src/image/load.ts";
import { layerTar, symlink } from "../../src/testing/layer_builder.ts";
import { refusal } from "../metadata/store_dir.ts";
import {
  archiveOf,
  configOf,
  dockerFiles,
  json,
  ociFiles,
  ociImage,
  ociManifest,
  type SavedFiles,
  writeFiles,
} from "../support/image_builder.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";
import { BASE, IMAGE, IMAGE_ID, onStore, refuses, TOP } from "./load_bench.ts";

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
