// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseSubordinateIds, rootMap } from "../../../src/host/namespaces/subordinate_ids.ts";

const USER = { uid: 1000, name: "ada", own: 1000 };

describe("parseSubordinateIds", () => {
  it("finds the user by name and by number, and nobody else", () => {
    const text = "bob:100000:65536\nada:200000:1000\n1000:300000:10\nadam:400000:1\n10000:500000:1\n";
    assert.deepEqual(parseSubordinateIds(text, USER), [{ first: 200000, count: 1000 }, { first: 300000, count: 10 }]);
    assert.deepEqual(parseSubordinateIds(text, { uid: 1000, own: 1000 }), [{ first: 300000, count: 10 }]);
  });

  it("passes over what is no run", () => {
    const lines = [
      "",
      "#ada:1:1",
      "ada",
      "ada:5",
      "ada:5:0",
      "ada:-5:3",
      "ada:a:b",
      "ada:1:2:3",
      "ada:4294967290:10",
      "ada::7",
    ];
    assert.deepEqual(parseSubordinateIds([...lines, " ada:7:3 "].join("\n"), USER), [{ first: 7, count: 3 }]);
  });

  it("passes over runs that the kernel would refuse: twice the same id, or the user's own", () => {
    const text = "ada:100:10\nada:105:10\nada:110:10\nada:990:20\nada:1001:5\n";
    const expected = [{ first: 100, count: 10 }, { first: 110, count: 10 }, { first: 1001, count: 5 }];
    assert.deepEqual(parseSubordinateIds(text, USER), expected);
  });
});

describe("rootMap", () => {
  it("makes the user 0, and lets the runs follow without gaps", () => {
    assert.deepEqual(rootMap(1000, [{ first: 5000, count: 10 }, { first: 9000, count: 5 }]), [
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 5000, count: 10 },
      { inside: 11, outside: 9000, count: 5 },
    ]);
  });
});
