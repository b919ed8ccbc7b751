// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkName, nameFile, nameProblem, namesAfter } from "../../../src/metadata/catalog/catalog_name.ts";
import { refusal } from "../store_dir.ts";

const name = fc.oneof(fc.string({ unit: "binary", maxLength: 255 }), fc.constantFrom("a", "A", ".", "..", "%", "%61"))
  .filter((text) => nameProblem(text) === undefined);

describe("nameFile()", () => {
  it("gives every name a file of its own, one safe component long", () => {
    fc.assert(fc.property(name, name, (a, b) => {
      assert.equal(nameFile(a) === nameFile(b), a === b);
      assert.match(nameFile(a), /^[^./\0][^/\0]{0,199}$/);
    }));
  });

  it("keeps ordinary names readable", () => {
    assert.equal(nameFile("web-1.0_x"), "web-1.0_x");
    assert.equal(nameFile("library/web:1.0"), "library%2Fweb%3A1.0");
    assert.equal(nameFile(".."), "%2E.");
    assert.match(nameFile("x".repeat(255)), /^%sha256-[0-9a-f]{64}$/);
  });
});

describe("names", () => {
  it("checkName() says why a name cannot be used", () => {
    const bad: Record<string, string> = {
      "": "empty",
      ["x".repeat(256)]: "255 characters",
      "a\u007f": "control character",
      "\ud800": "Unicode",
    };
    for (const [text, why] of Object.entries(bad)) {
      assert.throws(() => checkName(text), refusal("INVALID_ARGUMENT", why));
    }
    checkName("🙂".repeat(255));
  });

  it("namesAfter() never lists a name twice, and removing what was added gives the rest", () => {
    const names = fc.array(fc.constantFrom("a", "b", "c", "d"));
    fc.assert(fc.property(names, names, (before, change) => {
      const added = namesAfter(namesAfter([], { how: "set", names: before }), { how: "add", names: change });
      assert.equal(new Set(added).size, added.length);
      assert.deepEqual(added.slice(0, new Set(change).size), [...new Set(change)]);
      const rest = namesAfter(added, { how: "remove", names: change });
      assert.deepEqual(rest, [...new Set(before)].filter((each) => !change.includes(each)));
    }));
  });
});
