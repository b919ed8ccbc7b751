// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { chainOn, type Digest, hasCode, isStrataError, type LayerStore, parseDigest } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { gatedStream } from "../support/gated_stream.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("big", new Uint8Array(3_000_000).fill(7))]);
const TOP = layerTar([file("etc/motd", "changed\n"), file("etc/new", "new\n")]);
const WRONG: Digest = parseDigest(`sha256:${"0".repeat(64)}`);

for (const driver of DRIVERS) {
  describe(`register() on ${driver}`, () => {
    it("gives DiffID and ChainID of the bytes, and the bytes back", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(streamOf(BASE));
      assert.equal(base.diffId, digestOf(BASE));
      assert.equal(String(base.chainId), base.diffId);
      const top = await store.register(streamOf(gzipSync(TOP), 7), { parent: base.chainId });
      assert.equal(top.chainId, chainOn(base.chainId, top.diffId));
      assert.equal(top.blob?.compression, "gzip");
      assert.deepEqual(await bytesOf(store.export(base.chainId)), BASE);
      assert.deepEqual(await bytesOf(store.export(top.chainId)), TOP);
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("keeps the same content once, and gives a handle of its own each time", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const first = await store.register(streamOf(BASE));
      const second = await store.register(streamOf(BASE));
      assert.notEqual(first, second);
      assert.equal(store.layers().layers.size, 1);
      assert.equal(scratch.layerDirs(driver).length, 1);
      assert.deepEqual(await store.release(first), []);
      const deleted = await store.release(second);
      assert.deepEqual(deleted.map(({ chainId }) => chainId), [first.chainId]);
      assert.deepEqual(scratch.layerDirs(driver), []);
    });

    it("keeps the same content once when it comes twice at the same time", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const handles = await Promise.all([1, 2, 3].map(() => store.register(streamOf(BASE))));
      assert.equal(new Set(handles.map(({ chainId }) => chainId)).size, 1);
      assert.equal(scratch.layerDirs(driver).length, 1);
      assert.deepEqual(scratch.leftovers(), []);
    });

    for (
      const [what, options] of Object.entries({
        "an uncompressed tar": { expectedDiffId: WRONG as never },
        "a blob": { expectedBlob: { digest: WRONG } },
        "a blob of a size": { expectedBlob: { digest: digestOf(BASE), sizeBytes: BASE.length - 1 } },
      })
    ) {
      it(`refuses ${what} that is not the expected one, and keeps nothing`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        await assert.rejects(store.register(streamOf(BASE), options), (error) => hasCode(error, "DIGEST_MISMATCH"));
        assertEmpty(scratch, store, driver);
      });
    }

    for (
      const [what, bytes, stage] of [
        ["text", new TextEncoder().encode("no archive at all\n".repeat(100)), "tar"],
        ["an archive cut in a file", BASE.subarray(0, 2_000_000), "tar"],
        ["a gzip cut short", gzipSync(BASE).subarray(0, -20), "decompress"],
        ["a gzip with a wrong checksum", flipped(gzipSync(BASE), -6), "decompress"],
      ] as const
    ) {
      it(`refuses ${what}, names the stage, and keeps nothing`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        await assert.rejects(store.register(streamOf(bytes)), (error) => {
          assert(hasCode(error, "INVALID_ARCHIVE"), String(error));
          assert.equal(error.detail.stage, stage);
          return true;
        });
        assertEmpty(scratch, store, driver);
      });
    }

    it("passes the stream's own error on, and keeps nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const failure = new Error("the network went away");
      await assert.rejects(store.register(failingAfter(BASE.subarray(0, 1_000_000), failure)), failure);
      assertEmpty(scratch, store, driver);
    });

    it("stops when its signal fires, cancels the stream, and keeps nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { stream, cancelled } = endless(BASE);
      const abort = new AbortController();
      const registering = store.register(stream, { signal: abort.signal, onProgress: () => abort.abort() });
      await assert.rejects(registering, (error) => hasCode(error, "ABORTED"));
      await cancelled;
      assertEmpty(scratch, store, driver);
    });

    it("holds no lock while bytes flow", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const gate = gatedStream(BASE, { after: 1_500_000, chunkBytes: 100_000 });
      const slow = store.register(gate.stream);
      await gate.reached;
      await using other = await scratch.open({ driver, lockTimeoutMs: 0 });
      const quick = await other.register(streamOf(TOP));
      assert.equal(other.layers().layers.size, 1);
      gate.open();
      await slow;
      assert.deepEqual(await bytesOf(other.export(quick.chainId)), TOP);
      assert.equal(other.layers().layers.size, 2);
    });

    it("refuses an unknown parent without reading the stream", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await assert.rejects(
        store.register(streamOf(TOP), { parent: WRONG as never }),
        (error) => hasCode(error, "NOT_FOUND"),
      );
      assertEmpty(scratch, store, driver);
    });

    it("refuses a layer that passes a limit, by the limit's name", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver, limits: { entriesMax: 1 } });
      await assert.rejects(store.register(streamOf(TOP)), (error) => {
        assert(isStrataError(error) && error.code === "LIMIT_EXCEEDED");
        assert.equal(error.detail.limit, "entriesMax");
        return true;
      });
      assertEmpty(scratch, store, driver);
    });
  });
}

function assertEmpty(scratch: ScratchRoot, store: LayerStore, driver: string): void {
  assert.equal(store.layers().layers.size, 0);
  assert.deepEqual(scratch.leftovers(), []);
  assert.deepEqual(scratch.layerDirs(driver), []);
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  const index = copy.length + at;
  copy[index] = copy[index]! ^ 0xff;
  return copy;
}

function failingAfter(bytes: Uint8Array, failure: Error): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (sent) return controller.error(failure);
      sent = true;
      controller.enqueue(bytes);
    },
  });
}

/** An archive that never ends, and a promise for the moment when nobody wants it any more. */
function endless(start: Uint8Array): { stream: ReadableStream<Uint8Array>; cancelled: Promise<void> } {
  let done = (): void => {};
  const cancelled = new Promise<void>((resolve) => done = resolve);
  let chunk = start.subarray(0, -1024);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(chunk.slice());
      chunk = layerTar([file(`f${Math.random()}`, new Uint8Array(500_000))]).subarray(0, -1024);
    },
    cancel: () => done(),
  });
  return { stream, cancelled };
}
