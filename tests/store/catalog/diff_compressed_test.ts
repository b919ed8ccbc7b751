// SPDX-License-Identifier: Apache-2.0
/**
 * A record's diff as a blob: what other programs decompress is the tar, to the byte.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { type DiffRecordOptions, hasCode, type LayerStore } from "../../../mod.ts";
import { digestOf } from "../../../src/core/digest.ts";
import { dir, file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { needsPrograms } from "../../support/interop.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

type Compression = NonNullable<DiffRecordOptions["compression"]>;

/** Longer than all buffers on the way, and no shorter when it is compressed. */
const NOISE = noise(6 << 20);
const BASE = layerTar([dir("etc"), file("etc/gone", "gone\n"), file("etc/motd", "hello\n")]);
const TOP = layerTar([
  file("noise", NOISE),
  file("zeros", new Uint8Array(1 << 20)),
  whiteout("etc/gone"),
  file("etc/motd", "changed\n"),
]);

/** How each format begins: RFC 1952, 2.3.1; RFC 8878, 3.1.1. */
const MAGIC: Readonly<Record<Exclude<Compression, "none">, string>> = { gzip: "1f8b08", zstd: "28b52ffd" };

/** What decompresses it, and which files. */
const PROGRAMS = { gzip: ["gzip", "gz"], zstd: ["zstd", "zst"] } as const;

const ZSTD = needsPrograms("zstd");

for (const driver of DRIVERS) {
  describe(`Catalog.diff() compressed on ${driver}`, () => {
    it("gives a gzip whose content is the tar that was taken in", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const blob = await diffOf(store, "top", { compression: "gzip" });
      assert.equal(begin(blob), MAGIC.gzip);
      assert(blob.length < TOP.length);
      // To be compared by their digests: a difference of megabytes is no message.
      assert.equal(digestOf(gunzipSync(blob)), digestOf(TOP));
      assert.equal(digestOf(through("gzip", blob)), digestOf(TOP));
      assert.equal(digestOf(await diffOf(store, "top", { compression: "none" })), digestOf(TOP));
      // The layer is here, from a plain tar; what the record's own layer came from is this.
      const { content, blob: kept } = await store.catalog.put({ id: "again", parent: "base", diff: streamOf(blob) });
      assert.equal(content?.diffId, digestOf(TOP));
      assert.deepEqual(kept, { digest: digestOf(blob), size: blob.length, compression: "gzip" });
      assert.equal(store.catalog.get("top").blob?.compression, "none");
      assert.deepEqual(store.catalog.layersByCompressedDigest(digestOf(blob)).map(({ id }) => id), ["again"]);
    });

    it("gives a zstd frame whose content is the tar that was taken in", ZSTD, async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const blob = await diffOf(store, "top", { compression: "zstd" });
      assert.equal(begin(blob), MAGIC.zstd);
      assert(blob.length < TOP.length);
      assert.equal(digestOf(through("zstd", blob)), digestOf(TOP));
      await store.catalog.delete("top");
      const { content, blob: kept } = await store.catalog.put({ parent: "base", diff: streamOf(blob) });
      assert.deepEqual([content?.diffId, kept?.digest, kept?.compression], [digestOf(TOP), digestOf(blob), "zstd"]);
    });

    it("compresses computed diffs, too, of a writable layer and of distant layers", ZSTD, async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      await store.catalog.create({ id: "work", parent: "base", access: "writable" });
      await store.catalog.applyDiff("work", streamOf(TOP));
      for (const [ref, from] of [["work", undefined], ["top", "work"], ["base", "top"]] as const) {
        const plain = await diffOf(store, ref, { from });
        assert.equal(digestOf(plain), digestOf(await diffOf(store, ref, { from })), "the same bytes each time");
        for (const compression of ["gzip", "zstd"] as const) {
          const blob = await diffOf(store, ref, { from, compression });
          assert.equal(begin(blob), MAGIC[compression]);
          assert.equal(digestOf(through(compression, blob)), digestOf(plain), `${ref} from ${from} by ${compression}`);
        }
      }
    });

    it("ends with an error, and not as a whole blob, when it is aborted", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      const stop = new AbortController();
      const reader = store.catalog.diff("top", undefined, { compression: "gzip", signal: stop.signal }).getReader();
      assert.equal((await reader.read()).done, false);
      stop.abort();
      await assert.rejects(async () => {
        while (!(await reader.read()).done);
      }, (error) => hasCode(error, "ABORTED"));
    });

    it("refuses what is not there before anything is read", async () => {
      using scratch = new ScratchRoot();
      await using store = await filled(scratch, driver);
      for (const [ref, from] of [["nothing", undefined], ["top", "nothing"]] as const) {
        const call = () => store.catalog.diff(ref, from, { compression: "gzip" });
        assert.throws(call, (error) => hasCode(error, "NOT_FOUND"));
      }
    });
  });
}

/** The same each time. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0, state = 1; index < length; index++) {
    state = Math.imul(state, 1664525) + 1013904223;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

async function filled(scratch: ScratchRoot, driver: string): Promise<LayerStore> {
  const store = await scratch.open({ driver });
  await store.catalog.put({ id: "base", diff: streamOf(BASE) });
  await store.catalog.put({ id: "top", parent: "base", diff: streamOf(TOP) });
  return store;
}

function diffOf(
  { catalog }: LayerStore,
  ref: string,
  { from, ...options }: DiffRecordOptions & { readonly from?: string | undefined },
): Promise<Uint8Array> {
  return bytesOf(catalog.diff(ref, from, options));
}

function begin(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 4)).toString("hex").slice(0, bytes[0] === 0x1f ? 6 : 8);
}

/** What the format's own program makes of a blob. */
function through(compression: keyof typeof PROGRAMS, blob: Uint8Array): Uint8Array {
  const [program, suffix] = PROGRAMS[compression];
  using scratch = new ScratchRoot();
  const path = join(scratch.dir, `blob.${suffix}`);
  // A file: with a long standard input, Deno's spawnSync and the program wait for each other.
  writeFileSync(path, blob);
  const { status, stdout, stderr } = spawnSync(program, ["-dc", path], { maxBuffer: 64 << 20 });
  assert.equal(status, 0, stderr.toString());
  return new Uint8Array(stdout);
}
