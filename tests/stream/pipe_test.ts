// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { digestTap } from "../../src/stream/digest_tap.ts";
import { chunksOf, joinStages, pipe, streamOf, transformOf } from "../../src/stream/pipe.ts";
import { abortable, throwIfAborted } from "../../src/stream/signal.ts";
import { sourceOf, textOf } from "./helpers.ts";

const failure = new Error("failure");

function failingStage(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform() {
      throw failure;
    },
  });
}

/** A cancel takes some turns to pass up through the stages. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}

describe("pipe()", () => {
  it("moves everything through the stages in order", async () => {
    const [before, after] = [digestTap(), digestTap()];
    const doubling = transformOf(async function* (source) {
      for await (const chunk of source) {
        yield chunk;
        yield chunk;
      }
    });
    let text = "";
    const sink = (chunk: Uint8Array) => void (text += new TextDecoder().decode(chunk));
    await pipe(sourceOf(["ab", "c"]).stream, sink, { through: [before.stream, doubling, after.stream] });
    assert.equal(text, "ababcc");
    assert.deepEqual([before.result().sizeBytes, after.result().sizeBytes], [3, 6]);
  });
  it("cancels the source when a stage fails, and throws its error", async () => {
    const source = sourceOf(Array(20).fill("x"));
    await assert.rejects(pipe(source.stream, () => {}, { through: [digestTap().stream, failingStage()] }), failure);
    await settled();
    assert(source.isCancelled());
  });
  it("cancels the source when the sink fails, and throws its error", async () => {
    for (
      const sink of [() => Promise.reject(failure), () => {
        throw failure;
      }]
    ) {
      const source = sourceOf(Array(20).fill("x"));
      await assert.rejects(pipe(source.stream, sink, { through: [digestTap().stream] }), failure);
      assert(source.isCancelled());
    }
  });
  it("throws the source's error through all stages", async () => {
    const source = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(failure) });
    const through = [digestTap().stream, transformOf((chunks) => chunks)];
    await assert.rejects(pipe(source, () => {}, { through }), failure);
  });
  it("aborts at once while the source is silent, and cancels it", async () => {
    const source = sourceOf(["x"], "stall");
    const aborting = new AbortController();
    const reason = new Error("user");
    setTimeout(() => aborting.abort(reason), 5);
    const through = [digestTap().stream];
    await assert.rejects(
      pipe(source.stream, () => {}, { signal: aborting.signal, through }),
      (error) => hasCode(error, "ABORTED") && error.cause === reason,
    );
    await settled();
    assert(source.isCancelled());
  });
  it("holds the source back while the sink works", async () => {
    const source = sourceOf(Array(50).fill("x"));
    let taken = 0;
    await pipe(source.stream, async () => {
      taken++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert(source.pulled() - taken <= 4, `${source.pulled()} pulled, ${taken} taken`);
    }, { through: [digestTap().stream] });
    assert.equal(taken, 50);
  });
});

describe("streamOf()", () => {
  it("closes its source when it is cancelled before the first pull, or during one", async () => {
    for (const reads of [0, 1]) {
      const source = sourceOf([], "stall");
      const chunks = chunksOf(source.stream);
      const stream = streamOf(() => chunks, chunks);
      const reader = stream.getReader();
      const pending = reads === 0 ? undefined : reader.read();
      await reader.cancel();
      assert(source.isCancelled());
      assert.equal((await pending)?.done ?? true, true);
    }
  });
  it("passes an error on", async () => {
    const stream = streamOf(async function* () {
      await Promise.resolve();
      yield new Uint8Array(1);
      throw failure;
    });
    await assert.rejects(textOf(joinStages(stream, [])), failure);
  });
});

describe("abortable()", () => {
  it("leaves no listeners behind", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    for await (const _ of abortable(chunksOf(sourceOf(Array(9).fill("x")).stream), signal));
    await Promise.resolve();
    assert.equal(listeners, 0);
  });
  it("throwIfAborted() lets an open signal pass", () => {
    throwIfAborted(undefined);
    throwIfAborted(new AbortController().signal);
    assert.throws(() => throwIfAborted(AbortSignal.abort()), (error) => hasCode(error, "ABORTED"));
  });
});
