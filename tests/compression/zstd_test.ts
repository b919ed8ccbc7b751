// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import zlib from "node:zlib";
import fc from "fast-check";
import { Xxh64 } from "../../src/compression/xxh64.ts";
import { hasNativeZstd, unzstdChunks, type ZstdDecoder } from "../../src/compression/zstd.ts";
import { hasCode } from "../../src/core/errors.ts";
import { cutAt, decompressAll, isRefused, sampleBytes } from "./helpers.ts";
import { concat, type FrameOptions, rawFrame, rleFrame, skippableFrame } from "./zstd_writer.ts";

const FIRST = sampleBytes(5000);
const SECOND = sampleBytes(777).reverse();
const BOTH = concat([FIRST, SECOND]);
const SKIP = skippableFrame(sampleBytes(300), 7);
const decoders: ZstdDecoder[] = hasNativeZstd() ? ["native", "portable"] : ["portable"];
/** `seq 1 300 | zstd -19 --check`: Huffman, FSE and matches, in one file for every decoder. */
const COMPRESSED_TEXT =
  "KLUv/QRoNQ4ASkQEBwmw6yRJiHBSmHVtAGsAawDLHXdv3nCfbXbZZI8tdti1aYN9tdVVUz211FG3Zg310UYXTfTQQgddmjTQN9tc" +
  "M80zyxxzZ84wn2xyySSPLHLIlSmDfLHFFVM8scQRN2YM8XXr1alPlx69nR36cePFiQ8XHrycHPht1/Qsx50BxIN4iZM4EL/hNryG" +
  "0/AZLsNjeIdzOAw/4Sa8hJPwES7CQ3iFUzgIv+AWvIJT8AkuwSN4gzM4BL9yK69yKp9yKY/ylrMcyo/cyIucyIdcyIO85CQH8gNu" +
  "wAs4AR/gAjyAFziBA/C77a6b7rmNzugQ/dqtvdqpfdqlPdrbznZoP3ZjL3ZiH3ZhD/aykx3YD7pBL+gEfaAL9IBe6IQO0O+4Ha/j" +
  "dHyOy/E43uM8DsfPuBkv42R8jIvxMF7jNA7Gr7gVr+JUfIpL8Sje4iwOxY+4ES/iRHyISwPEd92u13W6PtflelzvdV6H62fdrJd1" +
  "sj7WxXpYr3VaB+tX3apXdao+1aV6VG91VofqR92oF3WiPtSFelAvdVIH6jfdptd0mj7TZXpM73ROh+kn3aSXdJI+0kV6SK90Sgfp" +
  "F92iV3SKPtElekQPADVelrE=";

async function unzstd(chunks: Uint8Array[], decoder: ZstdDecoder): Promise<Uint8Array> {
  const out: Uint8Array[] = [];
  for await (const chunk of unzstdChunks(chunks, { decoder })) out.push(chunk.slice());
  return concat(out);
}

for (const decoder of decoders) {
  describe(`unzstdChunks() with the ${decoder} decoder`, () => {
    async function expectContent(file: Uint8Array, content: Uint8Array): Promise<void> {
      assert.deepEqual(await unzstd([file], decoder), content);
      assert.deepEqual(await unzstd(Array.from(file, (byte) => Uint8Array.of(byte)), decoder), content);
    }

    it("joins frames of every kind", async () => {
      const kinds: FrameOptions[] = [{}, { checksum: "right" }, { window: 0x38 }, { window: 0x38, checksum: "right" }];
      for (const kind of kinds) await expectContent(concat([rawFrame(FIRST, kind), rawFrame(SECOND, kind)]), BOTH);
    });
    it("passes over skippable frames first, between and last", async () => {
      const [a, b] = [rawFrame(FIRST), rawFrame(SECOND)];
      await expectContent(concat([SKIP, a, b]), BOTH);
      await expectContent(concat([a, SKIP, skippableFrame(new Uint8Array(0)), b]), BOTH);
      await expectContent(concat([a, b, SKIP]), BOTH);
      await expectContent(SKIP, new Uint8Array(0));
    });
    it("reads frames of nothing and of very little", async () => {
      await expectContent(rawFrame(new Uint8Array(0)), new Uint8Array(0));
      await expectContent(rawFrame(new Uint8Array(0), { window: 0 }), new Uint8Array(0));
      await expectContent(
        concat([rawFrame(new Uint8Array(0)), rawFrame(Uint8Array.of(1), { window: 0, checksum: "right" })]),
        Uint8Array.of(1),
      );
    });
    it("reads run-length blocks", () =>
      expectContent(rleFrame(7, { count: 3, size: 1000 }), new Uint8Array(3000).fill(7)));
    it("refuses a stream cut anywhere", async () => {
      const file = concat([rawFrame(SECOND, { checksum: "right" }), SKIP]);
      const frameEnd = file.length - SKIP.length;
      for (let length = 1; length < file.length; length += length < 30 || length > frameEnd - 9 ? 1 : 17) {
        if (length === frameEnd) continue;
        await assert.rejects(unzstd([file.slice(0, length)], decoder), isRefused, `cut at ${length}`);
      }
    });
    it("refuses garbage behind a frame, NUL bytes too", async () => {
      for (const tail of [Uint8Array.of(0), new Uint8Array(512), Uint8Array.of(1, 2, 3, 4, 5)]) {
        await assert.rejects(unzstd([concat([rawFrame(FIRST), tail])], decoder), isRefused);
      }
    });
    it("refuses a wrong checksum", async () => {
      await assert.rejects(unzstd([rawFrame(FIRST, { checksum: "wrong" })], decoder), isRefused);
    });
    it("refuses a wrong content size", async () => {
      await assert.rejects(unzstd([rawFrame(FIRST, { contentBytes: 4999 })], decoder), isRefused);
      await assert.rejects(unzstd([rawFrame(FIRST, { contentBytes: 5001 })], decoder), isRefused);
    });
    it("refuses a dictionary", () => assert.rejects(unzstd([rawFrame(FIRST, { dictionary: 5 })], decoder), isRefused));
    it("refuses a window above the limit before allocating it", async () => {
      for (const window of [0xff, 0xa8, (27 - 10) << 3 | 1]) {
        await assert.rejects(
          unzstd([rawFrame(FIRST, { window })], decoder),
          (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "zstdWindowLogMax",
        );
      }
      assert.deepEqual(await unzstd([rawFrame(FIRST, { window: (27 - 10) << 3 })], decoder), FIRST);
    });
    it("reads what zstd itself writes", async () => {
      const text = new TextEncoder().encode(Array.from({ length: 300 }, (_, i) => `${i + 1}\n`).join(""));
      const file = Uint8Array.from(atob(COMPRESSED_TEXT), (char) => char.charCodeAt(0));
      assert.deepEqual(await unzstd([file], decoder), text);
    });
    it("gives the same whatever the chunks", async () => {
      const file = concat([
        SKIP,
        rawFrame(FIRST, { checksum: "right" }),
        SKIP,
        rleFrame(1, { count: 2, size: 9 }),
        rawFrame(SECOND),
      ]);
      const content = concat([FIRST, new Uint8Array(18).fill(1), SECOND]);
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat(file.length), { maxLength: 20 }), async (places) => {
          assert.deepEqual(await unzstd(cutAt(file, places), decoder), content);
        }),
        { numRuns: 50 },
      );
    });
  });
}

describe("zstd in decompressTo()", () => {
  it("stops a bomb at the ratio, after a bounded burst", async () => {
    const bomb = rleFrame(0, { count: 20_000, size: 128 * 1024 });
    await assert.rejects(
      decompressAll([bomb]),
      (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === "ratioMax",
    );
  });
  it("agrees with the native decoder on random content", { skip: !hasNativeZstd() }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 1, max: 100 }), async (bytes, times) => {
        const content = concat(Array.from({ length: times }, () => bytes));
        const params = { [zlib.constants.ZSTD_c_checksumFlag]: 1 };
        const file = concat([zlib.zstdCompressSync(content, { params }), SKIP, zlib.zstdCompressSync(bytes)]);
        for (const decoder of decoders) {
          assert(Buffer.from(concat([content, bytes])).equals(await unzstd([file], decoder)));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("Xxh64", () => {
  /** Low halves of the published vectors: the empty input, and the texts "a", "abc" and "Nobody inspects the spammish repetition". */
  const vectors: [string, number][] = [
    ["", 0x51d8e999],
    ["a", 0xa98c6e5b],
    ["abc", 0xad770999],
    ["Nobody inspects the spammish repetition", 0x8a378bf1],
  ];
  it("hashes as the specification has it", () => {
    for (const [text, low] of vectors) {
      const hash = new Xxh64();
      hash.update(new TextEncoder().encode(text));
      assert.equal(hash.digestLow(), low, text);
    }
  });
  it("does not depend on the chunks", () => {
    const bytes = sampleBytes(1000);
    const whole = new Xxh64();
    whole.update(bytes);
    const low = whole.digestLow();
    fc.assert(fc.property(fc.array(fc.nat(1000), { maxLength: 9 }), (places) => {
      const parts = new Xxh64();
      for (const chunk of cutAt(bytes, places)) parts.update(chunk);
      assert.equal(parts.digestLow(), low);
    }));
  });
});
