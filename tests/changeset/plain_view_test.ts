// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { SYMLINKS_MAX } from "../../src/core/limits.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { AS_ROOT, at, dir, file, readText, Scratch, type TreeNode } from "./trees.ts";

function link(target: string): TreeNode {
  return { type: "symlink", target };
}

/** A tree in which `l0` leads to `l1`, and so on to `end`. */
function chainOf(links: number): TreeNode {
  const names = Array.from({ length: links }, (_, i): [string, TreeNode] => {
    return [`l${i}`, link(i === links - 1 ? "end" : `l${i + 1}`)];
  });
  return dir(Object.fromEntries(names));
}

describe("PlainView", AS_ROOT, () => {
  it("lists bytewise and follows symlinks in parents only", () => {
    using scratch = new Scratch();
    using view = new PlainView(
      scratch.tree(dir({ d: dir({ b: file("b"), B: file(), "\u00e9": file() }), l: link("/d") })),
    );
    assert.deepEqual(view.list(at("d")).map((entry) => entry.name), ["B", "b", "\u00c3\u00a9"]);
    assert.equal(readText(view.openRead(at("l/b"))), "b");
    assert.equal(view.stat(at("l"))?.type, "symlink");
    assert.equal(view.readlink(at("l")), "/d");
  });

  it("opens what a final symlink leads to only when asked to", () => {
    using scratch = new Scratch();
    using view = new PlainView(scratch.tree(dir({ f: file("x"), l: link("f") })));
    assert.throws(() => view.openRead(at("l")));
    assert.equal(readText(view.openReadFollowing(at("l"))), "x");
  });
});

describe("PlainView.resolve()", AS_ROOT, () => {
  const tree = dir({
    usr: dir({ lib: dir({ f: file() }), up: link("../../../..") }),
    lib: link("usr/lib"),
    abs: link("/usr/./lib//f"),
    dangling: link("none/../usr"),
    out: link("../../etc/passwd"),
  });
  const cases: Record<string, string> = {
    "": "",
    "lib": "usr/lib",
    "lib/f": "usr/lib/f",
    "abs": "usr/lib/f",
    "usr/up/lib": "usr/lib",
    "dangling": "usr",
    "out": "etc/passwd",
    "lib/none/deeper": "usr/lib/none/deeper",
    "usr/lib/f/below": "usr/lib/f/below",
  };
  for (const [path, resolved] of Object.entries(cases)) {
    it(`leads "${path}" to "${resolved}"`, () => {
      using scratch = new Scratch();
      using view = new PlainView(scratch.tree(tree));
      assert.equal(view.resolve(at(path)), resolved);
    });
  }

  it(`follows ${SYMLINKS_MAX} symlinks and refuses one more`, () => {
    using scratch = new Scratch();
    using view = new PlainView(scratch.tree(chainOf(SYMLINKS_MAX)));
    assert.equal(view.resolve(at("l0")), "end");
    using longer = new PlainView(scratch.tree(chainOf(SYMLINKS_MAX + 1)));
    assert.throws(() => longer.resolve(at("l0/x")), (error) => hasCode(error, "INVALID_ARCHIVE"));
  });
});
