// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { hasCode, type RegisterProgress } from "../../mod.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n")]);
const TOP = layerTar([file("etc/motd", "changed\n"), file("big", new Uint8Array(3_000_000).fill(7))]);
const STAGES = ["read", "unpacked", "sealed"] as const;

for (const driver of DRIVERS) {
  describe(`the progress of register() on ${driver}`, () => {
    it("tells of each stage, in order", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const blob = gzipSync(TOP);
      const base = await store.register(streamOf(BASE));
      const events: RegisterProgress[] = [];
      const onProgress = (event: RegisterProgress): void => void events.push(event);
      const layer = await store.register(streamOf(blob, 700), { parent: base.chainId, onProgress });
      const reads = events.filter((event) => event.kind === "read");
      assert.equal(reads.reduce((sum, { bytes }) => sum + bytes, 0), blob.length);
      const { chainId, diffId, diffSizeBytes: sizeBytes } = layer;
      assert.deepEqual(events.slice(reads.length), [
        { kind: "unpacked", diffId, archiveBytes: TOP.length },
        { kind: "sealed", chainId, sizeBytes },
        { kind: "committed", chainId },
      ]);
    });

    for (const stage of STAGES) {
      for (const place of ["a base layer", "a layer on another"] as const) {
        it(`leaves nothing of ${place} behind when it is aborted as soon as it is ${stage}`, async () => {
          using scratch = new ScratchRoot();
          await using store = await scratch.open({ driver });
          const base = await store.register(streamOf(BASE));
          const abort = new AbortController();
          const registering = store.register(streamOf(TOP), {
            ...(place === "a base layer" ? {} : { parent: base.chainId }),
            signal: abort.signal,
            onProgress: ({ kind }) => void (kind === stage && abort.abort()),
          });
          await assert.rejects(registering, (error) => hasCode(error, "ABORTED"));
          assert.deepEqual([...store.map().keys()], [base.chainId]);
          assert.equal(scratch.layerDirs(driver).length, 1);
          assert.deepEqual(scratch.leftovers(), []);
          assert.equal((await store.release(base)).length, 1, "nothing holds the parent");
        });
      }
    }

    it("comes too late for an abort once it is committed", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const abort = new AbortController();
      const onProgress = ({ kind }: RegisterProgress): void => void (kind === "committed" && abort.abort());
      const layer = await store.register(streamOf(BASE), { signal: abort.signal, onProgress });
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      await assert.rejects(store.verify(layer.chainId, { signal: abort.signal }), (error) => hasCode(error, "ABORTED"));
    });

    it("is not begun with a signal that has fired, and the stream is cancelled", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      let cancelled = "not" as "not" | "cancelled";
      const stream = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = "cancelled") });
      const registering = store.register(stream, { signal: AbortSignal.abort() });
      await assert.rejects(registering, (error) => hasCode(error, "ABORTED"));
      assert.equal(cancelled, "cancelled");
      assert.deepEqual(scratch.leftovers(), []);
    });
  });
}
