// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode, StrataError } from "../../src/core/errors.ts";
import { fromWire, toWire } from "../../src/worker/wire_error.ts";

describe("an error between threads", () => {
  it("keeps code, detail, hint, message and causes", () => {
    const root = new RangeError("the root of it");
    const middle = new Error("the middle", { cause: root });
    const error = new StrataError("NO_SPACE", "Cannot write", { path: "/p" }, { cause: middle, hint: "Free space" });
    const back = crossed(error);
    assert(hasCode(back, "NO_SPACE"));
    assert.deepEqual(back.detail, { path: "/p" });
    assert.equal(back.hint, "Free space");
    assert.equal(back.message, "Cannot write");
    assert(back.cause instanceof Error && back.cause.message === "the middle");
    const deepest = back.cause.cause;
    assert(deepest instanceof Error);
    assert.deepEqual([deepest.name, deepest.message], ["RangeError", "the root of it"]);
  });

  it("keeps name, message and stack of any other error", () => {
    const error = new TypeError("a mistake");
    const back = crossed(error);
    assert.deepEqual([back.name, back.message, back.stack], [error.name, error.message, error.stack]);
    assert.equal(hasCode(back, "IO"), false);
    assert.equal("cause" in back, false);
  });

  it("makes an error of what is none", () => {
    assert.equal(crossed("just a text").message, "just a text");
    assert.equal(crossed(undefined).message, "undefined");
    assert.equal((crossed(new Error("e", { cause: "why" })).cause as Error).message, "why");
  });
});

function crossed(error: unknown): Error {
  return fromWire(structuredClone(toWire(error)));
}
