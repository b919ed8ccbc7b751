// SPDX-License-Identifier: Apache-2.0
/**
 * Saved images for tests: their files by name, as archives or directories.
 *
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Digest, digestHex, digestOf } from "../../src/core/digest.ts";
import { file, type LayerMember, layerTar } from "../../src/testing/layer_builder.ts";

/** Files of a saved image. A text is UTF-8. */
export type SavedFiles = Readonly<Record<string, Uint8Array | string>>;

/** A layer: its uncompressed tar, and how it is saved where that differs. */
export interface BuiltLayer {
  readonly tar: Uint8Array;
  readonly blob?: Uint8Array;
  readonly mediaType?: string;
}

/** An image to be saved; `config` adds to its config or replaces fields. */
export interface BuiltImage {
  readonly layers: readonly BuiltLayer[];
  readonly config?: object;
}

/** A layer of one file. */
export function layerOf(name: string, content: string): BuiltLayer {
  return { tar: layerTar([file(name, content)]) };
}

/** The config's document. */
export function configOf({ layers, config }: BuiltImage): Uint8Array {
  const rootfs = { type: "layers", diff_ids: layers.map(({ tar }) => digestOf(tar)) };
  return json({ os: "linux", architecture: "amd64", created: "2024-01-01T00:00:00Z", rootfs, ...config });
}

/** A docker-archive's files, named as skopeo names them. */
export function dockerFiles(
  images: readonly (readonly [tags: readonly string[] | null, image: BuiltImage])[],
): SavedFiles {
  const files: Record<string, Uint8Array | string> = {};
  const manifest = images.map(([RepoTags, image]) => {
    const config = configOf(image);
    const Config = `${digestHex(digestOf(config))}.json`;
    files[Config] = config;
    const Layers = image.layers.map(({ tar, blob }) => {
      const name = `${digestHex(digestOf(tar))}.tar`;
      files[name] = blob ?? tar;
      return name;
    });
    return { Config, RepoTags, Layers };
  });
  return { ...files, "manifest.json": json(manifest) };
}

/** An OCI manifest as a blob, with all that it points to, and its descriptor. */
export function ociImage(image: BuiltImage): { descriptor: OciDescriptor; files: SavedFiles } {
  const config = blobOf(configOf(image), "application/vnd.oci.image.config.v1+json");
  const layers = image.layers.map(({ tar, blob, mediaType }) => {
    return blobOf(blob ?? tar, mediaType ?? "application/vnd.oci.image.layer.v1.tar");
  });
  const manifest = ociManifest({ config: config.descriptor, layers: layers.map(({ descriptor }) => descriptor) });
  const files = Object.assign({}, config.files, manifest.files, ...layers.map((layer) => layer.files));
  return { descriptor: manifest.descriptor, files };
}

/** A manifest as a blob. */
export function ociManifest(fields: object): { descriptor: OciDescriptor; files: SavedFiles } {
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  return blobOf(json({ schemaVersion: 2, mediaType, ...fields }), mediaType);
}

/** An index as a blob. */
export function ociIndex(manifests: readonly object[]): { descriptor: OciDescriptor; files: SavedFiles } {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  return blobOf(json({ schemaVersion: 2, mediaType, manifests }), mediaType);
}

/** What `index.json` and others list. */
export interface OciDescriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** An OCI layout's files. */
export function ociFiles(manifests: readonly object[], ...parts: readonly { files: SavedFiles }[]): SavedFiles {
  return {
    "oci-layout": json({ imageLayoutVersion: "1.0.0" }),
    "index.json": json({ schemaVersion: 2, manifests }),
    ...Object.assign({}, ...parts.map(({ files }) => files)),
  };
}

/** The files as an archive. */
export function archiveOf(files: SavedFiles, more: readonly LayerMember[] = []): Uint8Array {
  return layerTar([...Object.entries(files).map(([name, content]) => file(name, content)), ...more]);
}

/** Writes the files below a directory. */
export function writeFiles(dir: string, files: SavedFiles): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
}

/** A document's bytes. */
export function json(document: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(document));
}

function blobOf(bytes: Uint8Array, mediaType: string): { descriptor: OciDescriptor; files: SavedFiles } {
  const digest = digestOf(bytes);
  return {
    descriptor: { mediaType, digest, size: bytes.byteLength },
    files: { [`blobs/sha256/${digestHex(digest)}`]: bytes },
  };
}
