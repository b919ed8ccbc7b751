// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { gunzipChunks, gzipChunks, gzipMember } from "../../src/compression/gzip.ts";
import { isStrataError } from "../../src/core/errors.ts";
import { cutAt, decompressAll, isRefused, later, sampleBytes } from "./helpers.ts";
import { concat } from "./zstd_writer.ts";

const FIRST = sampleBytes(900);
const SECOND = sampleBytes(300).reverse();
const A = gzipMember(FIRST);
const B = gzipMember(SECOND);
const BOTH = concat([FIRST, SECOND]);

/** Every way of feeding that has made a decoder behave differently. */
function feedings(bytes: Uint8Array, boundary: number): Uint8Array[][] {
  return [
    [bytes],
    Array.from(bytes, (byte) => Uint8Array.of(byte)),
    cutAt(bytes, [boundary]),
    cutAt(bytes, [boundary + 1]),
  ];
}

async function expectContent(file: Uint8Array, content: Uint8Array): Promise<void> {
  for (const chunks of feedings(file, A.length)) {
    const result = await decompressAll(chunks);
    assert.deepEqual(result.bytes, content);
    assert.equal(result.compression, "gzip");
    assert.equal(result.compressedBytes, file.length);
    assert.equal(result.uncompressedBytes, content.length);
    assert.deepEqual(await gunzipPortably(chunks), content);
  }
}

/** By the runtime's own zlib, which serves where the system has none. */
async function gunzipPortably(chunks: readonly Uint8Array[]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of gunzipChunks(later(chunks), { decoder: "portable" })) pieces.push(piece.slice());
  return concat(pieces);
}

async function expectRefused(file: Uint8Array): Promise<void> {
  for (const chunks of feedings(file, A.length)) {
    await assert.rejects(decompressAll(chunks), isRefused);
    await assert.rejects(gunzipPortably(chunks), isRefused);
  }
}

describe("gunzip", () => {
  it("joins members", () => expectContent(concat([A, B]), BOTH));
  it("joins a member of nothing", () => expectContent(concat([A, gzipMember(new Uint8Array(0)), B]), BOTH));
  it("accepts NUL bytes after the last member", async () => {
    await expectContent(concat([A, new Uint8Array(1)]), FIRST);
    await expectContent(concat([A, new Uint8Array(512)]), FIRST);
  });
  it("refuses anything else after the last member", async () => {
    for (const tail of ["G", "GARBAGE", "\0GARBAGE", "\0\0\0\x1f\x8b"]) {
      await expectRefused(concat([A, new TextEncoder().encode(tail)]));
    }
    await expectRefused(concat([A, Uint8Array.of(0x1f, 0, 0)]));
  });
  it("refuses a member behind NUL bytes, which zlib itself ignores", () =>
    expectRefused(concat([A, new Uint8Array(7), B])));
  it("refuses a second member cut anywhere", async () => {
    for (const length of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 100, B.length - 8, B.length - 4, B.length - 1]) {
      await expectRefused(concat([A, B.subarray(0, length)]));
    }
  });
  it("refuses a wrong CRC and a wrong length, in either member", async () => {
    for (const at of [-8, -1]) {
      const bad = B.slice();
      bad[bad.length + at] = (bad.at(at) ?? 0) ^ 1;
      await expectRefused(bad);
      await expectRefused(concat([A, bad]));
      await expectRefused(concat([bad, A]));
    }
  });
  it("reads a header with every optional field", async () => {
    const header = Uint8Array.of(0x1f, 0x8b, 8, 4 | 8 | 16, 1, 2, 3, 4, 0, 3, 3, 0, 7, 8, 9);
    const text = new TextEncoder().encode("name\0comment\0");
    await expectContent(concat([header, text, A.subarray(10)]), FIRST);
  });
  it("tells where the file ends too soon", async () => {
    await assert.rejects(decompressAll([concat([A, B.subarray(0, 5)])]), (error) => {
      assert(isStrataError(error) && error.code === "INVALID_ARCHIVE");
      assert.equal(error.detail.offset, A.length + 5);
      return true;
    });
  });
  it("gives the same whatever the chunks", async () => {
    const file = concat([A, B, gzipMember(sampleBytes(30)), new Uint8Array(9)]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(file.length), { maxLength: 20 }), async (places) => {
        const { bytes } = await decompressAll(cutAt(file, places));
        assert.deepEqual(bytes, concat([BOTH, sampleBytes(30)]));
      }),
      { numRuns: 50 },
    );
  });
  it("never gives more than was there when cut at any place", async () => {
    for (let length = 10; length < B.length; length += 13) {
      await assert.rejects(decompressAll([B.slice(0, length)]), isRefused);
    }
  });
});

describe("gzip", () => {
  it("writes a header without time, name and system", () => {
    assert.deepEqual([...A.subarray(0, 8)], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    assert.equal(A[9], 255);
  });
  it("gzipChunks() gives one member that gunzipChunks() reads", async () => {
    const parts: Uint8Array[] = [];
    for await (const chunk of gzipChunks(later(cutAt(BOTH, [1, 2, 4000])))) parts.push(chunk.slice());
    const file = concat(parts);
    assert.equal(file[9], 255);
    const back: Uint8Array[] = [];
    for await (const chunk of gunzipChunks([file])) back.push(chunk.slice());
    assert.deepEqual(concat(back), BOTH);
  });
});
