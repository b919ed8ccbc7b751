// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dataFileName } from "../../../src/metadata/containers_storage/data_names.ts";

describe("dataFileName", () => {
  for (
    const [key, name] of [
      ["plain.1", "plain.1"],
      ["Up", "=VXA="],
      ["a/b", "=YS9i"],
      ["???", "=Pz8"],
      ["ü", "ü"],
      ["üa", "=w7xh"],
      ["plain/", "plain"],
      ["U", "U"],
      ["two words", "=dHdvIHdvcmRz"],
      ["zstd-chunked-manifest", "=enN0ZC1jaHVua2VkLW1hbmlmZXN0"],
      ["..a", "..a"],
    ] as const
  ) it(`keeps "${key}" in "${name}", as that tool does`, () => assert.equal(dataFileName(key), name));

  for (const key of ["", ".", "..", "/", "ab?ab?ab?", "\0"]) {
    it(`has no file for ${JSON.stringify(key)}`, () => assert.equal(dataFileName(key), undefined));
  }
});
