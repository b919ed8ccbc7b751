// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isStrataError } from "../../src/core/errors.ts";
import type { Timespec } from "../../src/core/file_stat.ts";
import type { Change } from "../../src/changeset/change.ts";
import { compareTrees, compareUpper } from "../../src/changeset/compare.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { StackedView } from "../../src/changeset/stacked_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { anyTree, AS_ROOT, dir, file, OVERLAY, Scratch, type TreeNode } from "./trees.ts";

const LETTERS = { add: "A", modify: "C", delete: "D" } as const;
const ALWAYS: Timespec = { sec: 0, nsec: 0 };

function lines(changes: readonly Change[]): string[] {
  return changes.map(({ path, kind }) => `${LETTERS[kind]} /${path}`);
}

function changesBetween(before: TreeNode, now: TreeNode, options: { unchangedBefore?: Timespec } = {}): string[] {
  using scratch = new Scratch();
  using old = new PlainView(scratch.tree(before));
  using fresh = new PlainView(scratch.tree(now));
  return lines(compareTrees({ now: fresh, before: old, ...options }));
}

describe("compareTrees()", AS_ROOT, () => {
  it("finds nothing between equal trees", () => {
    const tree = dir({ d: dir({ f: file("x"), l: { type: "symlink", target: "f" }, c: { type: "char" } }) });
    assert.deepEqual(changesBetween(tree, tree), []);
  });

  it("reports a new directory and everything in it, in bytewise order of whole paths", () => {
    const now = dir({ a: dir({ b: dir({ c: file() }) }), "a.txt": file() });
    assert.deepEqual(changesBetween(dir(), now), ["A /a", "A /a.txt", "A /a/b", "A /a/b/c"]);
  });

  it("reports a directory that is gone once, and its parents as modified", () => {
    const before = dir({ p: dir({ q: dir({ gone: dir({ x: file() }), kept: file() }) }) });
    const now = dir({ p: dir({ q: dir({ kept: file() }) }) });
    assert.deepEqual(changesBetween(before, now), ["C /p", "C /p/q", "D /p/q/gone"]);
  });

  it("reports a file that became a directory with what is in it, and the reverse as one modification", () => {
    const asFile = dir({ x: file() });
    const asDir = dir({ x: dir({ y: file() }) });
    assert.deepEqual(changesBetween(asFile, asDir), ["C /x", "A /x/y"]);
    assert.deepEqual(changesBetween(asDir, asFile), ["C /x"]);
  });

  const node = file("one");
  const variants: Record<string, [TreeNode, TreeNode]> = {
    mode: [node, { ...node, mode: 0o4755 }],
    owner: [node, { ...node, owner: 7 }],
    size: [node, { ...node, content: "longer" }],
    "a nanosecond of mtime": [node, { ...node, mtime: [1_600_000_000, 1] }],
    "an added xattr": [node, { ...node, xattrs: { "user.a": "1" } }],
    "an xattr's value": [{ ...node, xattrs: { "trusted.a": "1" } }, { ...node, xattrs: { "trusted.a": "2" } }],
    "an xattr's name": [{ ...node, xattrs: { "user.a": "1" } }, { ...node, xattrs: { "user.b": "1" } }],
    "symlink target": [{ type: "symlink", target: "a" }, { type: "symlink", target: "b" }],
    "device numbers": [{ type: "char" }, { type: "whiteout", mode: 0o600 }],
    type: [{ type: "fifo" }, { type: "socket" }],
    "directory mtime": [dir(), dir({}, { mtime: [1, 2] })],
    "directory mode": [dir(), dir({}, { mode: 0o1777 })],
  };
  for (const [what, [before, now]] of Object.entries(variants)) {
    it(`reports a change of ${what}`, () => {
      assert.deepEqual(changesBetween(dir({ x: before }), dir({ x: now })), ["C /x"]);
    });
  }

  it("reports the root as modified when its own metadata differs, and only then", () => {
    assert.deepEqual(changesBetween(dir(), dir({}, { mode: 0o700 })), ["C /"]);
    assert.deepEqual(changesBetween(dir(), dir({}, { xattrs: { "user.r": "" } })), ["C /"]);
    assert.deepEqual(changesBetween(dir(), dir({ f: file() })), ["A /f"]);
  });

  it("reports everything as new without an older tree, the root as modified", () => {
    using scratch = new Scratch();
    using now = new PlainView(scratch.tree(dir({ d: dir({ f: file() }) })));
    assert.deepEqual(lines(compareTrees({ now, before: undefined })), ["C /", "A /d", "A /d/f"]);
  });

  it("compares contents only of files touched since the trees were equal", () => {
    const [before, now] = [dir({ f: file("one") }), dir({ f: file("two") })];
    assert.deepEqual(changesBetween(before, now), []);
    assert.deepEqual(changesBetween(before, now, { unchangedBefore: ALWAYS }), ["C /f"]);
    assert.deepEqual(changesBetween(before, now, { unchangedBefore: { sec: Date.now(), nsec: 0 } }), []);
  });

  it("compares contents longer than a block to their last byte", () => {
    const long = "x".repeat(300_000);
    const [before, now] = [dir({ f: file(`${long}1`) }), dir({ f: file(`${long}2`) })];
    assert.deepEqual(changesBetween(before, now, { unchangedBefore: ALWAYS }), ["C /f"]);
    assert.deepEqual(changesBetween(before, before, { unchangedBefore: ALWAYS }), []);
  });

  it("reports a file whose new link could not be made without it", () => {
    const before = dir({ a: file("x") });
    assert.deepEqual(changesBetween(before, dir({ a: file("x"), b: { type: "link", to: 0 } })), ["C /a", "A /b"]);
  });

  it("reports files that are linked no longer, and files that are linked now", () => {
    const linked = dir({ a: file("x"), b: { type: "link", to: 0 } });
    const apart = dir({ a: file("x"), b: file("x") });
    assert.deepEqual(changesBetween(linked, apart), ["C /a", "C /b"]);
    assert.deepEqual(changesBetween(apart, linked), ["C /a", "C /b"]);
    assert.deepEqual(changesBetween(linked, linked), []);
  });

  it("names the place when a tree cannot be read", () => {
    using scratch = new Scratch();
    using now = new PlainView(scratch.tree(dir({ d: dir() })));
    const failing: TreeView = Object.create(now, {
      stat: { value: (path: Parameters<TreeView["stat"]>[0]) => now.stat(path) },
      list: {
        value(path: Parameters<TreeView["list"]>[0]) {
          if (path !== "") throw new Error("boom");
          return now.list(path);
        },
      },
    });
    assert.throws(
      () => compareTrees({ now: failing, before: undefined }),
      (error) => isStrataError(error) && error.code === "IO" && error.message.includes('compare "/d"'),
    );
  });
});

describe("compareUpper()", AS_ROOT, () => {
  function compareBothWays(upper: TreeNode, lowers: readonly TreeNode[]): [quick: string[], full: string[]] {
    using scratch = new Scratch();
    using upperDir = scratch.tree(upper);
    const lowerDirs = lowers.map((lower) => scratch.tree(lower));
    using before = new StackedView(lowerDirs, OVERLAY);
    const stack = [upperDir, ...lowerDirs].map((layer) => RootedDir.open(layer.path));
    using now = new StackedView(stack, OVERLAY);
    const quick = compareUpper({ upper: upperDir, dialect: OVERLAY, now, before });
    return [lines(quick), lines(compareTrees({ now, before, unchangedBefore: ALWAYS }))];
  }

  it("sees deletions, replaced directories and what was copied up without a change", () => {
    const lower = dir({ f: file("one"), same: file("one"), d: dir({ old: file(), both: file() }), none: dir() });
    const upper = dir({
      f: { type: "whiteout" },
      same: file("one"),
      d: dir({ both: file() }, { opaque: "opaque" }),
      never: { type: "whiteout" },
      none: dir({ x: { type: "whiteout" } }),
    });
    const [quick] = compareBothWays(upper, [lower]);
    assert.deepEqual(quick, ["C /d", "D /d/old", "D /f"]);
  });

  it("compares below an opaque directory name by name", () => {
    const lower = dir({ d: dir({ e: dir({ old: file() }) }) });
    const upper = dir({ d: dir({ e: dir() }, { opaque: "opaque" }) });
    assert.deepEqual(compareBothWays(upper, [lower])[0], ["C /d", "C /d/e", "D /d/e/old"]);
  });

  it("finds what a walk of both whole trees finds", () => {
    const tree = anyTree({ whiteouts: "with" });
    fc.assert(
      fc.property(tree, fc.array(tree, { minLength: 1, maxLength: 3 }), (upper, lowers) => {
        const [quick, full] = compareBothWays(upper, lowers);
        assert.deepEqual(quick, full);
      }),
      { numRuns: 300 },
    );
  });
});
