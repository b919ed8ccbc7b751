// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { digestOf } from "../../src/core/digest.ts";
import { hasCode } from "../../src/core/errors.ts";
import { digestTap, verifyingTap } from "../../src/stream/digest_tap.ts";
import { pipe } from "../../src/stream/pipe.ts";
import { sourceOf, textOf } from "./helpers.ts";

const CONTENT = "some layer";
const DIGEST = digestOf(CONTENT);

describe("digestTap()", () => {
  it("passes bytes on unchanged and tells digest and size at the end", async () => {
    const tap = digestTap();
    assert.throws(() => tap.result(), /has not ended/);
    assert.equal(await textOf(sourceOf(["some ", "", "layer"]).stream.pipeThrough(tap.stream)), CONTENT);
    assert.deepEqual(tap.result(), { digest: DIGEST, sizeBytes: 10 });
  });
});

describe("verifyingTap()", () => {
  it("passes what is as expected", async () => {
    for (const size of [{}, { sizeBytes: 10 }]) {
      const tap = verifyingTap({ expected: DIGEST, what: "blob", ...size });
      assert.equal(await textOf(sourceOf(["some ", "layer"]).stream.pipeThrough(tap)), CONTENT);
    }
  });
  it("fails at the end on another digest, and says both", async () => {
    const tap = verifyingTap({ expected: DIGEST, what: "blob" });
    const seen: Uint8Array[] = [];
    await assert.rejects(
      pipe(sourceOf(["other"]).stream, (chunk) => void seen.push(chunk), { through: [tap] }),
      (error) => {
        assert(hasCode(error, "DIGEST_MISMATCH"));
        assert.deepEqual(error.detail, { expected: DIGEST, actual: digestOf("other"), sizeBytes: 5 });
        return true;
      },
    );
    assert.equal(seen.length, 1);
  });
  it("fails on a stream that is shorter or longer than it should be", async () => {
    for (const sizeBytes of [9, 11]) {
      const tap = verifyingTap({ expected: DIGEST, sizeBytes, what: "blob" });
      await assert.rejects(
        textOf(sourceOf([CONTENT]).stream.pipeThrough(tap)),
        (error) => hasCode(error, "DIGEST_MISMATCH"),
      );
    }
  });
  it("does not pass on what is beyond the expected size, and cancels the source", async () => {
    const tap = verifyingTap({ expected: DIGEST, sizeBytes: 10, what: "blob" });
    const source = sourceOf([CONTENT, "more", "and more", "and more", "and more"]);
    let text = "";
    await assert.rejects(
      pipe(source.stream, (chunk) => void (text += new TextDecoder().decode(chunk)), { through: [tap] }),
    );
    assert.equal(text, CONTENT);
    assert(source.isCancelled());
  });
});
