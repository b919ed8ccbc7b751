// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { digestOf } from "../../src/core/digest.ts";
import { formatImageName, parseImageName, parseImageReference } from "../../src/metadata/image_name.ts";
import { refusal } from "./store_dir.ts";

describe("parseImageName()", () => {
  for (
    const [text, name] of Object.entries({
      "top": "top:latest",
      "top:1": "top:1",
      "library/top": "top:latest",
      "docker.io/library/top:1": "top:1",
      "index.docker.io/library/top": "top:latest",
      "docker.io/a/b": "a/b:latest",
      "library/a/b": "library/a/b:latest",
      "localhost/top:1": "localhost/top:1",
      "localhost:5000/top": "localhost:5000/top:latest",
      "Host/top": "Host/top:latest",
      "registry.example:443/a/b_c--d:v1.2-x_Y": "registry.example:443/a/b_c--d:v1.2-x_Y",
      "[::1]:5000/a": "[::1]:5000/a:latest",
      "localhost:5000": "localhost:5000",
      "constructor": "constructor:latest",
    })
  ) {
    it(`reads "${text}" as "${name}"`, () => assert.equal(formatImageName(parseImageName(text)), name));
  }

  for (
    const text of [
      "",
      ":1",
      "Top",
      "a//b",
      "/a",
      "a/",
      "a:",
      "a:.x",
      "a b",
      "a\n",
      "a:1\n",
      "a__-b",
      "-a",
      "a..b",
      "../a",
      "ex ample.com/a",
      "a:" + "x".repeat(129),
      "a".repeat(256),
      "f".repeat(64),
      `top@${digestOf("x")}`,
      "top@sha256:00",
      "top@",
    ]
  ) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => parseImageName(text), refusal("INVALID_ARGUMENT"));
    });
  }

  it("gives a name that reads as itself", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,5}$/);
    const name = fc.tuple(fc.constantFrom("", "docker.io/", "library/", "localhost/", "x.y:1/"), part, part, part)
      .map(([domain, a, b, tag]) => `${domain}${a}/${b}:${tag}`);
    fc.assert(fc.property(name, (text) => {
      const familiar = formatImageName(parseImageName(text));
      assert.equal(formatImageName(parseImageName(familiar)), familiar);
    }));
  });
});

describe("parseImageReference()", () => {
  it("takes a digest, with a tag or without", () => {
    const digest = digestOf("x");
    assert.deepEqual(parseImageReference(`docker.io/library/top@${digest}`), { repository: "top", digest });
    assert.deepEqual(parseImageReference(`top:1@${digest}`), { repository: "top", tag: "1", digest });
  });
});
