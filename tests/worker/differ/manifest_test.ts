// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { DEFAULT_LIMITS, MANIFEST_CHARS_MAX } from "../../../src/core/limits.ts";
import { type DirectoryManifest, parseManifest } from "../../../src/worker/differ/manifest.ts";

const OWN = { mode: 0o644, uid: 1, gid: 2, mtime: { sec: -3, nsec: 4 } };
const DIGEST = `sha256:${"a".repeat(64)}`;
const FILE = { ...OWN, type: "file", path: "f", size: 1, digest: DIGEST };

function parse(entries: readonly unknown[], limits = {}) {
  return parseManifest(JSON.stringify({ version: 1, entries }), { ...DEFAULT_LIMITS, ...limits });
}

describe("parseManifest()", () => {
  it("sorts bytewise by path, the root first and a whiteout before what takes the place", () => {
    const entries = parse([
      { ...FILE, path: "b" },
      { ...OWN, type: "dir", path: "a" },
      { ...FILE, path: "a/z" },
      { ...FILE, path: "a.b" },
      { type: "whiteout", path: "a" },
      { ...OWN, type: "dir", path: "." },
    ]);
    assert.deepEqual(entries.map(({ path, type }) => `${type} ${path}`), [
      "dir ",
      "whiteout a",
      "dir a",
      "file a.b",
      "file a/z",
      "file b",
    ]);
  });

  it("takes names and attributes that are no text", () => {
    const [entry] = parse([{
      ...FILE,
      path: { base64: "Zv8=" },
      xattrs: [{ name: "user.b", value: "AP8=" }, { name: { base64: "dXNlci5h" }, value: "" }],
    }]);
    assert.equal(entry?.path, "f\xff");
    assert.deepEqual([...entry?.xattrs ?? []].map(([name, value]) => [name, [...value]]), [
      ["user.a", []],
      ["user.b", [0, 255]],
    ]);
    assert.deepEqual(parse([{ ...FILE, path: "ä" }])[0]?.path, "\xc3\xa4");
  });

  it("takes the document as well as its text", () => {
    const manifest: DirectoryManifest = { version: 1, entries: [{ ...OWN, path: "d", type: "dir" }] };
    assert.deepEqual(parseManifest(manifest, DEFAULT_LIMITS), parse(manifest.entries));
  });

  it("tells links from what they lead to", () => {
    const entries = parse([
      { ...OWN, type: "symlink", path: "s", target: "../../etc/passwd" },
      { ...OWN, type: "hardlink", path: "t", target: "s" },
      { ...OWN, type: "block", path: "x", major: 8, minor: 1 },
    ]);
    assert.deepEqual(entries.map(({ target, major, minor }) => [target, major, minor]), [
      ["../../etc/passwd", 0, 0],
      ["s", 0, 0],
      ["", 8, 1],
    ]);
  });

  const wrong: readonly (readonly [string, readonly unknown[]])[] = [
    ["no path", [{ ...FILE, path: undefined }]],
    ["an unknown type", [{ ...FILE, type: "door" }]],
    ["a field that is not known", [{ ...FILE, sticky: true }]],
    ["a mode of too many bits", [{ ...FILE, mode: 0o10000 }]],
    ["an owner that no file can have", [{ ...FILE, uid: 4294967295 }]],
    ["a negative size", [{ ...FILE, size: -1 }]],
    ["a size that is no whole number", [{ ...FILE, size: 1.5 }]],
    ["nanoseconds of more than a second", [{ ...FILE, mtime: { sec: 0, nsec: 1e9 } }]],
    ["another digest", [{ ...FILE, digest: "md5:aa" }]],
    ["base64 that is none", [{ ...FILE, path: { base64: "Zv8" } }]],
    ["half a character", [{ ...FILE, path: "a\ud800" }]],
    ["an attribute twice", [{ ...FILE, xattrs: [{ name: "user.a", value: "" }, { name: "user.a", value: "" }] }]],
    ["an attribute that no tar can hold", [{ ...FILE, xattrs: [{ name: "user.a=b", value: "" }] }]],
    ["a path twice", [FILE, { ...OWN, type: "dir", path: "f" }]],
    ["a whiteout twice", [{ type: "whiteout", path: "f" }, { type: "whiteout", path: "f" }]],
    ["a whiteout of the root", [{ type: "whiteout", path: "." }]],
    ["a path below a file", [FILE, { ...FILE, path: "f/g/h" }]],
    ["a symlink to nothing", [{ ...OWN, type: "symlink", path: "s", target: "" }]],
    ["a hard link to a directory", [{ ...OWN, type: "dir", path: "d" }, {
      ...OWN,
      type: "hardlink",
      path: "e",
      target: "d",
    }]],
    ["a hard link to a later file", [{ ...OWN, type: "hardlink", path: "e", target: "f" }, FILE]],
    ["a hard link to a whiteout", [{ type: "whiteout", path: "d" }, {
      ...OWN,
      type: "hardlink",
      path: "e",
      target: "d",
    }]],
  ];
  for (const [what, entries] of wrong) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parse(entries),
        (error) => hasCode(error, "INVALID_ARCHIVE") && /manifest/.test(error.message),
      );
    });
  }

  it("names the limit that is passed", () => {
    const refused = (limit: string, act: () => unknown): void => {
      assert.throws(act, (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === limit, limit);
    };
    refused("entriesMax", () => parse([FILE], { entriesMax: 0 }));
    refused("unpackedBytesMax", () => parse([FILE, { ...FILE, path: "g" }], { unpackedBytesMax: 1 }));
    refused("pathBytesMax", () => parse([{ ...FILE, path: "a/b/c" }], { pathBytesMax: 5 }));
    refused("depthMax", () => parse([{ ...FILE, path: "a/b/c" }], { depthMax: 2 }));
    refused("componentBytesMax", () => parse([{ ...FILE, path: "abc" }], { componentBytesMax: 2 }));
    const xattrs = [{ name: "user.a", value: "AAAA" }];
    refused("xattrsMax", () => parse([{ ...FILE, xattrs }], { xattrsMax: 0 }));
    refused("xattrBytesMax", () => parse([{ ...FILE, xattrs }], { xattrBytesMax: 2 }));
    refused("MANIFEST_CHARS_MAX", () => parseManifest(" ".repeat(MANIFEST_CHARS_MAX + 1), DEFAULT_LIMITS));
  });
});
