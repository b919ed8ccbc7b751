// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { ByteMeter, limitBytes, RATIO_FREE_BYTES } from "../../src/stream/limit.ts";
import { sourceOf, textOf } from "./helpers.ts";

function passes(limit: string): (error: unknown) => boolean {
  return (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === limit;
}

describe("ByteMeter", () => {
  it("allows exactly unpackedBytesMax", () => {
    const meter = new ByteMeter({ unpackedBytesMax: 10, ratioMax: 1 });
    meter.countOut(10);
    assert.throws(() => meter.countOut(1), passes("unpackedBytesMax"));
  });
  it("judges the ratio only once there is much output", () => {
    const meter = new ByteMeter({ unpackedBytesMax: Infinity, ratioMax: 1000 });
    meter.countIn(1);
    meter.countOut(RATIO_FREE_BYTES);
    assert.throws(() => meter.countOut(1), passes("ratioMax"));
    meter.countIn(RATIO_FREE_BYTES / 1000);
    meter.countOut(1);
    assert.deepEqual([meter.inBytes, meter.outBytes], [1 + RATIO_FREE_BYTES / 1000, RATIO_FREE_BYTES + 2]);
  });
});

describe("limitBytes()", () => {
  it("lets exactly the limit past, and cancels the source above it", async () => {
    assert.equal(await textOf(sourceOf(["ab", "c"]).stream.pipeThrough(limitBytes({ limit: "x", max: 3 }))), "abc");
    const source = sourceOf(["ab", "cd", "e", "f", "g"]);
    await assert.rejects(textOf(source.stream.pipeThrough(limitBytes({ limit: "x", max: 3 }))), passes("x"));
    assert(source.isCancelled());
  });
});
