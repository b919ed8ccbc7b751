// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compressStream, type WritableCompression } from "../../src/compression/compress.ts";
import { decompressStream, decompressTo } from "../../src/compression/decompress.ts";
import { type Compression, detectCompression } from "../../src/compression/detect.ts";
import { gzipMember } from "../../src/compression/gzip.ts";
import { hasNativeZstd } from "../../src/compression/zstd.ts";
import { hasCode } from "../../src/core/errors.ts";
import { CHUNK_BYTES, DEFAULT_LIMITS } from "../../src/core/limits.ts";
import { findProgram } from "../../src/host/command.ts";
import { chunksOf, streamOf } from "../../src/stream/pipe.ts";
import { cutAt, decompressAll, isRefused, later, sampleBytes } from "./helpers.ts";
import { concat, rawFrame, skippableFrame } from "./zstd_writer.ts";

const CONTENT = new TextEncoder().encode("layer\n".repeat(100));
const XZ = fromBase64(
  "/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AJXABBdADYYS5jpwufV770uj6OoYAAAhSW0rwgkibsAASzYBAAAAF+y3I" +
    "WxxGf7AgAAAAAEWVo=",
);
const BZIP2 = fromBase64("QlpoOTFBWSZTWYxMjqgAAMfBgAAQIgQQICAAMMAClQyYRYRaReItItIvi7kinChIRiZHVAA=");

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** A source that notes whether it was closed. */
function watched(chunks: Iterable<Uint8Array>): { source: AsyncIterable<Uint8Array>; isClosed: () => boolean } {
  let isClosed = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      yield* later(chunks);
    } finally {
      isClosed = true;
    }
  }
  return { source: source(), isClosed: () => isClosed };
}

/** Gives its chunks and then nothing, for ever. */
function stalling(chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> & { cancelled?: boolean } {
  const left = [...chunks];
  const stream: ReadableStream<Uint8Array> & { cancelled?: boolean } = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = left.shift();
      if (next === undefined) return new Promise(() => {});
      controller.enqueue(next);
    },
    cancel() {
      stream.cancelled = true;
    },
  }, { highWaterMark: 0 });
  return stream;
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const out: Uint8Array[] = [];
  for await (const chunk of chunksOf(stream)) out.push(chunk);
  return concat(out);
}

describe("detectCompression()", () => {
  const heads: [Compression, number[]][] = [
    ["none", []],
    ["none", [0x1f, 0x8b]],
    ["none", [0x1f, 0x8b, 7]],
    ["gzip", [0x1f, 0x8b, 8]],
    ["bzip2", [0x42, 0x5a, 0x68, 0x39]],
    ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
    ["none", [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
    ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
    ["zstd", [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]],
    ["zstd", [0x5f, 0x2a, 0x4d, 0x18, 9, 9, 9, 9]],
    ["none", [0x60, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]],
    ["none", [0x50, 0x2a, 0x4d, 0x18]],
  ];
  for (const [compression, head] of heads) {
    it(`says ${compression} for [${head}]`, () => assert.equal(detectCompression(Uint8Array.from(head)), compression));
  }
});

describe("decompressTo()", () => {
  it("takes an empty blob for an empty layer", async () => {
    const result = await decompressAll([]);
    assert.deepEqual({ ...result, bytes: result.bytes.length }, {
      compression: "none",
      compressedBytes: 0,
      uncompressedBytes: 0,
      bytes: 0,
    });
  });
  it("passes what it does not know, short or long", async () => {
    for (const length of [1, 9, 10, 5000]) {
      const bytes = sampleBytes(length);
      assert.deepEqual((await decompressAll(cutAt(bytes, [1, 2, 700]))).bytes, bytes);
    }
  });
  it("decompresses once: gzip in gzip comes out as gzip", async () => {
    const inner = gzipMember(CONTENT);
    assert.deepEqual((await decompressAll([gzipMember(inner)])).bytes, inner);
  });
  it("sniffs a head that comes byte by byte, and tells before the first chunk", async () => {
    const events: string[] = [];
    const chunks = Array.from(gzipMember(CONTENT), (byte) => Uint8Array.of(byte));
    const onDetected = (compression: Compression) => void events.push(compression);
    await decompressTo(later(chunks), () => void events.push("chunk"), { onDetected });
    assert.deepEqual(events, ["gzip", "chunk"]);
  });
  it("gives chunks of 1 MiB that own their buffer and are not written to again", async () => {
    const content = sampleBytes(3 * CHUNK_BYTES + 5);
    for (const source of [cutAt(gzipMember(content), [100, 200_000]), cutAt(content, [7, 2_000_000])]) {
      const sizes: number[] = [];
      const kept: Uint8Array[] = [];
      await decompressTo(later(source), (chunk) => {
        sizes.push(chunk.byteLength);
        assert.equal(chunk.buffer.byteLength, chunk.byteLength);
        kept.push(structuredClone(chunk, { transfer: [chunk.buffer] }));
      });
      assert.deepEqual(sizes, [CHUNK_BYTES, CHUNK_BYTES, CHUNK_BYTES, 5]);
      assert.deepEqual(concat(kept), content);
    }
  });
  it("waits for the sink before it reads on", async () => {
    let readAhead = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 5; i++) {
        readAhead++;
        yield sampleBytes(CHUNK_BYTES);
        await Promise.resolve();
      }
    }
    await decompressTo(source(), async () => {
      readAhead--;
      assert(readAhead <= 1, `${readAhead} chunks were read ahead`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    });
  });
  it("stops at unpackedBytesMax, and not before", async () => {
    const limits = { ...DEFAULT_LIMITS, unpackedBytesMax: CONTENT.length };
    assert.equal((await decompressAll([gzipMember(CONTENT)], { limits })).uncompressedBytes, CONTENT.length);
    for (const blob of [gzipMember(concat([CONTENT, CONTENT])), concat([CONTENT, CONTENT])]) {
      const { source, isClosed } = watched([blob]);
      await assert.rejects(decompressTo(source, () => {}, { limits }), (error) => hasCode(error, "LIMIT_EXCEEDED"));
      assert(isClosed());
    }
  });
  it("stops a gzip bomb at the ratio", async () => {
    const limits = { ...DEFAULT_LIMITS, ratioMax: 500 };
    const bomb = gzipMember(new Uint8Array(80 * CHUNK_BYTES));
    const out: number[] = [];
    await assert.rejects(
      decompressTo(later(cutAt(bomb, [1000])), (chunk) => void out.push(chunk.byteLength), { limits }),
      (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "ratioMax",
    );
    assert(out.length <= 65);
  });
  it("closes the source when the sink fails, and throws the sink's error", async () => {
    for (const blob of [CONTENT, gzipMember(CONTENT), rawFrame(CONTENT)]) {
      const { source, isClosed } = watched([blob, blob]);
      const failure = new Error("disk");
      const failing = () => {
        throw failure;
      };
      await assert.rejects(decompressTo(source, failing), failure);
      await assert.rejects(decompressTo(watched([blob]).source, () => Promise.reject(failure)), failure);
      assert(isClosed());
    }
  });
  it("closes the source when the data is bad", async () => {
    for (const blob of [gzipMember(CONTENT).fill(0, 20, 24), skippableFrame(CONTENT).subarray(0, 50)]) {
      const { source, isClosed } = watched([blob]);
      await assert.rejects(decompressTo(source, () => {}), isRefused);
      assert(isClosed());
    }
  });
  it("throws the source's own error", async () => {
    const failure = new Error("network");
    async function* source(): AsyncGenerator<Uint8Array> {
      yield gzipMember(CONTENT).subarray(0, 30);
      await Promise.resolve();
      throw failure;
    }
    await assert.rejects(decompressTo(source(), () => {}), failure);
  });
  it("aborts in the middle, even while the source is silent, and cancels it", async () => {
    for (const head of [CONTENT, gzipMember(CONTENT).subarray(0, 30), rawFrame(CONTENT).subarray(0, 30)]) {
      const stream = stalling([head]);
      const aborting = new AbortController();
      const running = decompressTo(chunksOf(stream), () => {}, { signal: aborting.signal });
      setTimeout(() => aborting.abort(), 5);
      await assert.rejects(running, (error) => hasCode(error, "ABORTED"));
      assert.equal(stream.cancelled, true);
    }
  });
  it("does not start when it was aborted before", async () => {
    await assert.rejects(
      decompressAll([CONTENT], { signal: AbortSignal.abort() }),
      (error) => hasCode(error, "ABORTED"),
    );
  });
});

describe("decompressStream()", () => {
  it("gives what decompressTo() gives", async () => {
    assert.deepEqual(await collect(decompressStream(streamOf(() => later([gzipMember(CONTENT)])))), CONTENT);
  });
  it("cancels a silent source when the reader cancels", async () => {
    const source = stalling([gzipMember(CONTENT).subarray(0, 30)]);
    const reader = decompressStream(source).getReader();
    const pending = reader.read();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await reader.cancel();
    assert.equal((await pending).done, true);
    assert.equal(source.cancelled, true);
  });
});

describe("xz and bzip2", () => {
  const programs: [string, Uint8Array][] = [["xz", XZ], ["bzip2", BZIP2]];
  for (const [program, blob] of programs) {
    const options = { skip: findProgram(program) === undefined && `${program} is not installed` };
    it(`reads ${program}`, options, async () => {
      const result = await decompressAll(cutAt(blob, [3, 20]));
      assert.equal(result.compression, program);
      assert.deepEqual(result.bytes, CONTENT);
    });
    it(`refuses ${program} that is cut short, damaged or followed by garbage`, options, async () => {
      await assert.rejects(decompressAll([blob.slice(0, -5)]), isRefused);
      await assert.rejects(decompressAll([blob.slice().fill(0xff, 30, 34)]), isRefused);
      await assert.rejects(decompressAll([concat([blob, CONTENT])]), isRefused);
    });
    it(`ends ${program} when the sink fails or the caller aborts`, options, async () => {
      const failure = new Error("disk");
      await assert.rejects(decompressTo(later([blob]), () => Promise.reject(failure)), failure);
      const aborting = new AbortController();
      const stream = stalling([blob.slice(0, 20)]);
      const running = decompressTo(chunksOf(stream), () => {}, { signal: aborting.signal });
      setTimeout(() => aborting.abort(), 50);
      await assert.rejects(running, (error) => hasCode(error, "ABORTED"));
      assert.equal(stream.cancelled, true);
    });
    it(`throws the error of a source that fails while ${program} runs`, options, async () => {
      const failure = new Error("network");
      async function* source(): AsyncGenerator<Uint8Array> {
        yield blob.slice(0, 20);
        await Promise.resolve();
        throw failure;
      }
      await assert.rejects(decompressTo(source(), () => {}), failure);
    });
  }
});

describe("compressStream()", () => {
  const formats: WritableCompression[] = ["none", "gzip", "zstd"];
  for (const format of formats) {
    const isMissing = format === "zstd" && !hasNativeZstd() && findProgram("zstd") === undefined;
    it(`writes ${format} that decompressStream() reads`, { skip: isMissing && "no zstd here" }, async () => {
      const content = sampleBytes(CHUNK_BYTES + 999);
      const source = streamOf(() => later(cutAt(content, [5, 1000])));
      const compressed = await collect(source.pipeThrough(compressStream(format, { level: 1 })));
      assert.equal(detectCompression(compressed), format);
      assert.deepEqual((await decompressAll([compressed])).bytes, content);
    });
  }
  it("passes the source's error on and cancels it when the reader stops", async () => {
    const failure = new Error("network");
    const broken = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(failure) });
    await assert.rejects(collect(broken.pipeThrough(compressStream("gzip"))), failure);
    const source = stalling([CONTENT]);
    await source.pipeThrough(compressStream("gzip")).cancel();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(source.cancelled, true);
  });
});
