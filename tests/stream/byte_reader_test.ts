// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../src/core/errors.ts";
import { ByteReader } from "../../src/stream/byte_reader.ts";
import { sourceOf, textOf } from "./helpers.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe("ByteReader", () => {
  it("peeks without taking, reads across chunks, skips, and gives the rest", async () => {
    const reader = new ByteReader(sourceOf(["ab", "", "cde", "f", "ghij"]).stream);
    assert.equal(text(await reader.peek(4)), "abcd");
    assert.equal(reader.offset, 0);
    assert.equal(text(await reader.readExactly(3)), "abc");
    await reader.skip(2);
    assert.equal(reader.offset, 5);
    assert.equal(text(await reader.readExactly(0)), "");
    assert.equal(await textOf(reader.rest()), "fghij");
  });
  it("peeks what there is at the end", async () => {
    const reader = new ByteReader(sourceOf(["ab"]).stream);
    assert.equal(text(await reader.peek(10)), "ab");
    assert.equal(text(await reader.readExactly(2)), "ab");
    assert.equal((await reader.peek(1)).length, 0);
    assert.equal(await textOf(reader.rest()), "");
  });
  it("refuses to read or skip past the end, and says where it is", async () => {
    for (const act of ["readExactly", "skip"] as const) {
      const reader = new ByteReader(sourceOf(["abc"]).stream);
      await assert.rejects(reader[act](4), (error) => {
        assert(hasCode(error, "INVALID_ARCHIVE"));
        assert.deepEqual(error.detail, { stage: "source", offset: 3 });
        return true;
      });
    }
  });
  it("cancels the source itself, or when the rest is cancelled", async () => {
    const [direct, viaRest] = [sourceOf(["abc"], "stall"), sourceOf(["abc"], "stall")];
    await new ByteReader(direct.stream).cancel();
    assert(direct.isCancelled());
    await new ByteReader(viaRest.stream).rest().cancel();
    assert(viaRest.isCancelled());
  });
  it("gives every byte once, whatever the chunks and the steps", async () => {
    const step = fc.record({ kind: fc.constantFrom("peek", "readExactly", "skip"), count: fc.nat(6) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.stringMatching(/^[a-z]{0,5}$/)), fc.array(step), async (chunks, steps) => {
        const all = chunks.join("");
        const reader = new ByteReader(sourceOf(chunks).stream);
        let at = 0;
        for (const { kind, count } of steps) {
          if (kind === "peek") assert.equal(text(await reader.peek(count)), all.slice(at, at + count));
          if (kind === "peek" || at + count > all.length) continue;
          if (kind === "skip") await reader.skip(count);
          else assert.equal(text(await reader.readExactly(count)), all.slice(at, at + count));
          at += count;
          assert.equal(reader.offset, at);
        }
        assert.equal(await textOf(reader.rest()), all.slice(at));
      }),
    );
  });
});
