// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { type BlobInfo, type ChainId, parseDigest, type RegisterWithDescriptorOptions } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { concat as frames, rawFrame } from "../compression/zstd_writer.ts";
import { estargz, INDEX_JSON, stargzFooter, stargzTable, TABLE, zstdChunked } from "../support/chunked_blobs.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";
import { archive, concat, END_MARKER, rawHeader, rawMember } from "../support/tar_builder.ts";

const MEMBERS = [
  dir("d", { uid: 1000, gid: 50 }),
  file("d/f", "content", { uid: 33, gid: 3_000_000 }),
  symlink("d/l", "f", { uid: 1000, gid: 33 }),
  { ...whiteout("d/gone"), uid: 7, gid: 7 },
];
const TAR = layerTar(MEMBERS);
const OWNERS = { uids: [33, 1000], gids: [33, 50, 3_000_000] };
const WRONG = parseDigest(`sha256:${"0".repeat(64)}`);

describe("a layer's record knows of its tar", () => {
  it("the length and the owners, in the layer, its inspection and the next process", async () => {
    using scratch = new ScratchRoot();
    const expected = { archiveBytes: TAR.length, ...OWNERS };
    let chainId: ChainId;
    {
      await using store = await scratch.open();
      const layer = await store.register(streamOf(gzipSync(TAR)));
      assert.deepEqual(factsOf(layer), expected);
      chainId = layer.chainId;
    }
    await using store = await scratch.open();
    const layer = store.get(chainId);
    assert.deepEqual(factsOf(layer), expected);
    const inspection = store.inspect(layer.chainId);
    assert(inspection.kind === "layer");
    assert.deepEqual(factsOf(inspection.layer), expected);
  });

  it("the headers' owners where files belong to others on disk", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    assert.deepEqual(factsOf(await store.register(streamOf(TAR))), { archiveBytes: TAR.length, ...OWNERS });
  });

  it("the length with all that trails the end marker, and what an odd archive has", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open();
    const bytes = concat(archive(rawMember({ name: "a", uid: 1, gid: 2 }, "x")), new Uint8Array(5000).fill(1));
    assert.deepEqual(factsOf(await store.register(streamOf(bytes))), {
      archiveBytes: bytes.length,
      uids: [1],
      gids: [2],
    });
    const none = new Uint8Array(0);
    assert.deepEqual(factsOf(await store.register(streamOf(none))), { archiveBytes: 0, uids: [], gids: [] });
  });
});

describe("a layer's record knows of its blob's table of contents", () => {
  const stargzMembers = [rawMember({ name: "a/", type: "5", mode: 0o755 }), rawMember({ name: "a/b" }, "content")];
  const blobs: Readonly<Record<string, [Uint8Array, Pick<BlobInfo, "compression" | "tocDigest">]>> = {
    "zstd:chunked": [zstdChunked(TAR), { compression: "zstd", tocDigest: digestOf(TABLE) }],
    "zstd:chunked of old": [zstdChunked(TAR, { form: "40 bytes" }), {
      compression: "zstd",
      tocDigest: digestOf(TABLE),
    }],
    "a pretender of zstd:chunked": [zstdChunked(TAR, { offset: 1 << 30 }), { compression: "zstd" }],
    "plain zstd of several frames": [frames([rawFrame(TAR.subarray(0, 700)), rawFrame(TAR.subarray(700))]), {
      compression: "zstd",
    }],
    "eStargz": [estargz(stargzMembers), { compression: "gzip", tocDigest: digestOf(INDEX_JSON) }],
    "a pretender of eStargz": [estargz(stargzMembers, { offset: 0 }), { compression: "gzip" }],
    "eStargz with members behind the table": [
      estargz(stargzMembers, { behind: rawMember({ name: "c" }) }),
      { compression: "gzip" },
    ],
    "plain gzip of several members": [
      concat(...[...stargzMembers, END_MARKER].map((member) => gzipSync(member))),
      { compression: "gzip" },
    ],
    "plain tar with a table": [archive(...stargzMembers, rawMember({ name: "stargz.index.json" }, "{}")), {
      compression: "none",
    }],
    "eStargz that shows lazy readers a table, and others a file": [twoFaced("a"), { compression: "gzip" }],
    "eStargz that shows lazy readers another table": [twoFaced("stargz.index.json"), { compression: "gzip" }],
  };
  for (const [what, [blob, expected]] of Object.entries(blobs)) {
    it(`of ${what}`, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open();
      const layer = await store.register(streamOf(blob, 100));
      assert.deepEqual(layer.blob, {
        digest: expected.compression === "none" ? layer.diffId : digestOf(blob),
        size: blob.length,
        ...expected,
      });
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      const inspection = store.inspect(layer.chainId);
      assert.deepEqual(inspection.kind === "layer" && inspection.layer.blob, layer.blob);
    });
  }

  it("by its bytes, whatever a descriptor's annotations say", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open();
    const keys = ["io.github.containers.zstd-chunked.manifest-checksum", "containerd.io/snapshot/stargz/toc.digest"];
    const annotations = Object.fromEntries(keys.map((key) => [key, WRONG]));
    const found = [[zstdChunked(TAR), digestOf(TABLE)], [estargz(stargzMembers), digestOf(INDEX_JSON)], [
      layerTar([file("x")]),
      undefined,
    ]] as const;
    for (const [blob, tocDigest] of found) {
      const options: RegisterWithDescriptorOptions = {
        descriptor: { digest: digestOf(blob), size: blob.length, annotations },
      };
      const layer = await store.registerWithDescriptor(streamOf(blob), options);
      assert.equal(layer.blob?.tocDigest, tocDigest);
      assert.deepEqual(layer.descriptor?.annotations, annotations);
    }
  });
});

interface Facts {
  readonly archiveBytes?: number | undefined;
  readonly uids?: readonly number[] | undefined;
  readonly gids?: readonly number[] | undefined;
}

function factsOf({ archiveBytes, uids, gids }: Facts): Facts {
  return { archiveBytes, uids, gids };
}

/** Who follows the footer sees a table; who reads from the start sees a file of this name, whose content is an archive. */
function twoFaced(name: string): Uint8Array {
  const table = stargzTable();
  const header = gzipSync(rawHeader({ name, size: gunzipSync(table).length }));
  return concat(header, table, stargzFooter(header.length));
}
