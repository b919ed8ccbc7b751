// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chainOn, createChainId, type DiffId, EMPTY_DIFF_ID, parseDiffId } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";

const [A, B, C] = ["A", "B", "C"].map((text) => parseDiffId(digestOf(text))) as [DiffId, DiffId, DiffId];

describe("createChainId()", () => {
  it("gives Docker's ChainIDs", () => {
    const vectors: readonly (readonly [readonly DiffId[], string])[] = [
      [[A], "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"],
      [[A, B], "ac8b22cdada705e17d1f88efc2e0c626641566d29fd8d3b99ca5eee913782d01"],
      [[A, B, C], "328be8fe76954e2f466f05ea4eedba2c62ea0e0d4a9a43f54db2bcc660e284e0"],
      [[EMPTY_DIFF_ID, EMPTY_DIFF_ID], "170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548"],
    ];
    for (const [diffIds, hex] of vectors) assert.equal(createChainId(diffIds), `sha256:${hex}`);
  });

  it("depends on the order", () => {
    assert.notEqual(createChainId([A, B]), createChainId([B, A]));
  });

  it("is the same layer by layer", () => {
    assert.equal(chainOn(chainOn(chainOn(undefined, A), B), C), createChainId([A, B, C]));
  });

  it("refuses an empty list", () => {
    assert.throws(() => createChainId([]), RangeError);
  });
});
