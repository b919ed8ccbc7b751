// SPDX-License-Identifier: Apache-2.0
/**
 * zstd:chunked blobs as skopeo writes them: the table that we find is the one that skopeo's annotation names.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Digest, digestHex, digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar, symlink } from "../../src/testing/layer_builder.ts";
import { needsPrograms } from "../support/interop.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";

const TAR = layerTar([
  dir("d", { uid: 1000 }),
  ...Array.from({ length: 40 }, (_, i) => file(`d/f${i}`, `content ${i}\n`.repeat(i * 300), { gid: i % 3 })),
  symlink("d/l", "f1"),
]);
/** skopeo before 1.10 had the first one. */
const CHECKSUM = /"(?:io\.containers|io\.github\.containers)\.zstd-chunked\.manifest-checksum":"(sha256:[0-9a-f]{64})"/;

describe("a zstd:chunked layer of skopeo's", needsPrograms("skopeo"), () => {
  it("is registered with the digest of the table that its annotation names", async () => {
    using scratch = new ScratchRoot();
    const manifest = readFileSync(chunkedLayout(scratch.dir), "utf8");
    const [layer] = JSON.parse(manifest).layers;
    const blob = readFileSync(join(scratch.dir, "out/blobs", layer.digest.replace(":", "/")));
    await using store = await scratch.open({ driver: "vfs" });
    const registered = await store.register(streamOf(blob));
    assert.equal(registered.diffId, digestOf(TAR));
    const tocDigest = CHECKSUM.exec(manifest)?.[1];
    assert(tocDigest !== undefined, manifest);
    assert.deepEqual(registered.blob, { digest: layer.digest, size: blob.length, compression: "zstd", tocDigest });
    assert.deepEqual([registered.archiveBytes, registered.gids], [TAR.length, [0, 1, 2]]);
  });
});

/** Has skopeo compress an image of one layer, and gives the path of its manifest. */
function chunkedLayout(scratch: string): string {
  const from = join(scratch, "in");
  mkdirSync(join(from, "blobs/sha256"), { recursive: true });
  const put = (content: Uint8Array | string): { digest: Digest; size: number } => {
    const digest = digestOf(content);
    writeFileSync(join(from, "blobs/sha256", digestHex(digest)), content);
    return { digest, size: content.length };
  };
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", ...put(TAR) };
  const rootfs = { type: "layers", diff_ids: [layer.digest] };
  const config = {
    mediaType: "application/vnd.oci.image.config.v1+json",
    ...put(JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs })),
  };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = put(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  const annotations = { "org.opencontainers.image.ref.name": "x" };
  writeFileSync(
    join(from, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, ...manifest, annotations }] }),
  );
  writeFileSync(join(from, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  const to = join(scratch, "out");
  const args = ["copy", "--insecure-policy", "--dest-compress", "--dest-compress-format", "zstd:chunked"];
  const { status, stderr } = spawnSync("skopeo", [...args, `oci:${from}:x`, `oci:${to}:x`], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const index = JSON.parse(readFileSync(join(to, "index.json"), "utf8"));
  return join(to, "blobs", index.manifests[0].digest.replace(":", "/"));
}
