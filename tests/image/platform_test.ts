// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { bestFit, fits, formatPlatform, parsePlatform } from "../../src/image/platform.ts";
import { refusal } from "../metadata/store_dir.ts";

function best(wanted: string, ...offered: string[]): string | undefined {
  const offers = offered.map((text) => ({ platform: parsePlatform(text) }));
  const chosen = bestFit(offers, parsePlatform(wanted));
  return chosen && formatPlatform(chosen.platform);
}

describe("parsePlatform()", () => {
  it("knows the names of kernels and of Node", () => {
    const given = ["linux/amd64", "linux/x86_64", "Linux/aarch64", "linux/arm/v7", "linux/armhf"];
    const meant = ["linux/amd64", "linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm"];
    assert.deepEqual(given.map((text) => formatPlatform(parsePlatform(text))), meant);
  });

  for (const text of ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64", "linux/amd64\n"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parsePlatform(text), refusal("INVALID_ARGUMENT")));
  }
});

describe("bestFit()", () => {
  it("takes the usual variant, unless another is asked for", () => {
    assert.equal(best("linux/arm", "linux/arm/v5", "linux/arm/v7", "linux/arm/v6"), "linux/arm/v7");
    assert.equal(best("linux/arm", "linux/arm/v5"), "linux/arm/v5");
    assert.equal(best("linux/arm/v6", "linux/arm/v5", "linux/arm/v7"), undefined);
    assert.equal(best("linux/amd64", "linux/amd64/v3", "linux/amd64"), "linux/amd64");
    assert.equal(best("linux/arm64", "windows/arm64", "linux/amd64"), undefined);
  });

  it("takes no variant for the usual one", () => {
    assert.ok(fits(parsePlatform("linux/arm64/v8"), parsePlatform("linux/arm64")));
    assert.ok(fits(parsePlatform("linux/arm64"), parsePlatform("linux/arm64/v8")));
    assert.ok(!fits(parsePlatform("linux/arm64"), parsePlatform("linux/arm64/v9")));
  });
});
