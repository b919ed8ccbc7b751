// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasNativeZstd, unzstdChunks, type ZstdDecoder } from "../../src/compression/zstd.ts";
import { ZstdChunkedToc } from "../../src/compression/zstd_chunked.ts";
import { type Digest, digestOf } from "../../src/core/digest.ts";
import { SKIPPABLE_FRAMES_MAX } from "../../src/core/limits.ts";
import { type ChunkedFooter, TABLE, zstdChunked } from "../support/chunked_blobs.ts";
import { cutInto } from "../support/recorded_contents.ts";
import { concat, rawFrame, skippableFrame } from "./zstd_writer.ts";

const DATA = new Uint8Array(5000).fill(0x61);
const decoders: ZstdDecoder[] = hasNativeZstd() ? ["native", "portable"] : ["portable"];

describe("the table of contents of a zstd:chunked blob", () => {
  for (const form of ["64 bytes", "40 bytes"] as const) {
    it(`is found by a footer of ${form}, however the blob is cut`, async () => {
      const blob = zstdChunked(DATA, { form });
      assert.equal(await tocOf([blob]), digestOf(TABLE));
      const steps = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 6 });
      await fc.assert(
        fc.asyncProperty(steps, async (cuts) => assert.equal(await tocOf([...cutInto(blob, cuts)]), digestOf(TABLE))),
        { numRuns: 30 },
      );
    });
  }

  it("is found among other skippable frames", async () => {
    const before = concat([skippableFrame(new Uint8Array(0)), skippableFrame(Uint8Array.of(1, 2), 5), rawFrame(DATA)]);
    const blob = zstdChunked(DATA, { offset: before.length + offsetOfTable() });
    assert.equal(await tocOf([before, blob]), digestOf(TABLE));
  });

  const pretenders: Readonly<Record<string, ChunkedFooter>> = {
    "an offset outside": { offset: 10_000_000 },
    "an offset of 64 bits": { offset: 2n ** 64n - 1n },
    "the offset of the frame's header": { offset: offsetOfTable() - 8 },
    "an offset in the data": { offset: 20 },
    "a length beyond the frame": { length: TABLE.length + 1 },
    "a length short of the frame": { length: TABLE.length - 1 },
    "a length of 64 bits": { length: 2n ** 63n },
    "itself as the table": { offset: zstdChunked(DATA).length - 64, length: 64 },
    "a table of another type": { type: 2 },
    "another mark": { mark: "gnulinux" },
    "the mark of the other form": { mark: "GnUlInUx" },
  };
  for (const [what, footer] of Object.entries(pretenders)) {
    it(`is none where the footer has ${what}`, async () => {
      assert.equal(await tocOf([zstdChunked(DATA, footer)]), undefined);
    });
  }

  it("is none where the footer is not the end, or of another kind", async () => {
    const blob = zstdChunked(DATA);
    const body = blob.subarray(0, -72);
    const footer = blob.subarray(-64);
    assert.equal(await tocOf([blob, rawFrame(DATA)]), undefined);
    assert.equal(await tocOf([blob, skippableFrame(new Uint8Array(1))]), undefined);
    assert.equal(await tocOf([blob, skippableFrame(new Uint8Array(1), 3)]), undefined);
    assert.equal(await tocOf([body, skippableFrame(footer, 1)]), undefined);
    assert.equal(await tocOf([body, rawFrame(footer)]), undefined);
    assert.equal(await tocOf([body, skippableFrame(concat([new Uint8Array(8), footer]))]), undefined);
    assert.equal(await tocOf([rawFrame(DATA)]), undefined);
  });

  it("is not looked for among too many frames", async () => {
    const frame = skippableFrame(Uint8Array.of(1));
    for (
      const [others, expected] of [[SKIPPABLE_FRAMES_MAX - 3, digestOf(TABLE)], [
        SKIPPABLE_FRAMES_MAX - 2,
        undefined,
      ]] as const
    ) {
      const blob = zstdChunked(DATA, { offset: offsetOfTable() + others * frame.length });
      assert.equal(await tocOf([...Array<Uint8Array>(others).fill(frame), blob]), expected);
    }
  });
});

function offsetOfTable(): number {
  return zstdChunked(DATA).length - 72 - 8 - rawFrame(new Uint8Array(9)).length - TABLE.length;
}

/** With each decoder, all of which must see the same frames. */
async function tocOf(chunks: readonly Uint8Array[]): Promise<Digest | undefined> {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const found: (Digest | undefined)[] = [];
  for (const decoder of decoders) {
    const skipped = new ZstdChunkedToc();
    for await (const _ of unzstdChunks(chunks, { decoder, skipped })) { /* only what is skipped matters */ }
    found.push(skipped.digest(size));
  }
  assert.equal(new Set(found).size, 1);
  return found[0];
}
