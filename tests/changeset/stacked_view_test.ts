// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../src/core/errors.ts";
import { ROOT } from "../../src/core/layer_path.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { StackedView } from "../../src/changeset/stacked_view.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import {
  anyPaths,
  anyTree,
  AS_ROOT,
  at,
  dir,
  file,
  mountStack,
  outcomeOf,
  OVERLAY,
  readText,
  Scratch,
  snapshot,
  type TreeNode,
} from "./trees.ts";

/** Names and contents of a stack, given top first. */
function contentsOf(...layers: TreeNode[]): Record<string, string> {
  using scratch = new Scratch();
  using view = new StackedView(layers.map((layer) => scratch.tree(layer)), OVERLAY);
  const lines = Object.entries(snapshot(view)).filter(([path]) => path !== "/");
  return Object.fromEntries(lines.map(([path, line]) => [path, /"(.*)"/.exec(line)?.[1] ?? line.split(" ")[0] ?? ""]));
}

function canMount(): boolean {
  using scratch = new Scratch();
  using mounted = mountStack([scratch.folder(), scratch.folder()], scratch.folder());
  return mounted !== undefined;
}

describe("StackedView", AS_ROOT, () => {
  it("shows the upper file and hides the lower one", () => {
    assert.deepEqual(contentsOf(dir({ f: file("new") }), dir({ f: file("old"), g: file("kept") })), {
      "/f": "new",
      "/g": "kept",
    });
  });

  it("merges directories, and shows the topmost one's metadata", () => {
    using scratch = new Scratch();
    const upper = scratch.tree(dir({ d: dir({ b: file() }, { mode: 0o700, xattrs: { "user.u": "1" } }) }));
    const lower = scratch.tree(dir({ d: dir({ a: file() }, { mode: 0o711, xattrs: { "user.l": "2" } }) }));
    using view = new StackedView([upper, lower], OVERLAY);
    assert.deepEqual(view.list(at("d")).map((entry) => entry.name), ["a", "b"]);
    assert.equal(view.stat(at("d"))?.mode, 0o700);
    assert.deepEqual([...view.xattrs(at("d")).keys()], ["user.u"]);
  });

  it("hides what a whiteout names, in all layers below it and in none above", () => {
    const whiteout: TreeNode = { type: "whiteout" };
    assert.deepEqual(contentsOf(dir({ f: file("again") }), dir({ f: whiteout, d: whiteout }), dir({ d: dir() })), {
      "/f": "again",
    });
  });

  it("cuts an opaque directory off, and what a file hides does not come back", () => {
    const below = dir({ d: dir({ old: file() }), e: dir({ old: file() }) });
    assert.deepEqual(contentsOf(dir({ d: dir({}, { opaque: "opaque" }), e: dir() }), dir({ e: file() }), below), {
      "/d": "dir",
      "/e": "dir",
    });
  });

  it("leaves the driver's own attributes out", () => {
    using scratch = new Scratch();
    const upper = scratch.tree(dir({ d: dir({}, { opaque: "opaque", xattrs: { "trusted.mine": "1" } }) }));
    using view = new StackedView([upper], OVERLAY);
    assert.deepEqual([...view.xattrs(at("d")).keys()], ["trusted.mine"]);
  });

  it("follows symlinks in parents across layers, and never the last component", () => {
    using scratch = new Scratch();
    const upper = scratch.tree(
      dir({ usr: dir({ lib: dir({ new: file("n") }) }), abs: link("/lib"), up: link("../..") }),
    );
    const lower = scratch.tree(dir({ lib: link("usr/lib"), usr: dir({ lib: dir({ old: file("o") }) }) }));
    using view = new StackedView([upper, lower], OVERLAY);
    assert.equal(readText(view.openRead(at("lib/new"))), "n");
    assert.equal(readText(view.openRead(at("up/abs/old"))), "o");
    assert.equal(view.stat(at("abs"))?.type, "symlink");
    assert.equal(view.readlink(at("up/abs")), "/lib");
    assert.equal(view.resolve(at("abs/none/deep")), "usr/lib/none/deep");
  });

  it("refuses a loop of symlinks", () => {
    using scratch = new Scratch();
    using view = new StackedView([scratch.tree(dir({ a: link("b"), b: link("a") }))], OVERLAY);
    assert.throws(() => view.resolve(at("a/x")), (error) => hasCode(error, "INVALID_ARCHIVE"));
    assert.equal(view.stat(at("a"))?.type, "symlink");
  });

  it("answers from a listing as it does by asking each layer", () => {
    using scratch = new Scratch();
    const layers = Array.from(
      { length: 30 },
      (_, i) => dir({ d: dir({ [`f${i}`]: file(`${i}`), same: file(`${i}`) }) }),
    );
    using view = new StackedView(layers.map((layer) => scratch.tree(layer)), OVERLAY);
    for (let i = 0; i < 30; i++) assert.equal(readText(view.openRead(at(`d/f${i}`))), `${i}`);
    assert.equal(readText(view.openRead(at("d/same"))), "0");
    assert.equal(view.stat(at("d/f30")), undefined);
    assert.equal(view.list(at("d")).length, 31);
  });

  it("says that there is nothing to list, read or open", () => {
    using scratch = new Scratch();
    using view = new StackedView([scratch.tree(dir({ f: file() })), scratch.tree(dir())], OVERLAY);
    for (const call of [() => view.list(at("f")), () => view.readlink(at("f")), () => view.openRead(ROOT)]) {
      assert.throws(call, (error) => hasCode(error, "NOT_FOUND"));
    }
    assert.equal(view.stat(at("f/x")), undefined);
  });

  it("refuses an empty stack", () => {
    assert.throws(() => new StackedView([], OVERLAY), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

describe(
  "StackedView beside overlayfs",
  { skip: AS_ROOT.skip || (canMount() ? false : "cannot mount overlayfs") },
  () => {
    it("shows every entry of every stack as the kernel does", () => {
      fc.assert(
        fc.property(fc.array(anyTree({ whiteouts: "with" }), { minLength: 2, maxLength: 4 }), (layers) => {
          using scratch = new Scratch();
          const trees = layers.map((layer) => scratch.tree(layer));
          const target = scratch.folder();
          using _mounted = mountStack(trees.map((tree) => tree.path), target);
          using real = new PlainView(RootedDir.open(target));
          using view = new StackedView(trees, OVERLAY);
          for (const path of anyPaths()) {
            const [ours, theirs] = [view, real].map((tree) => outcomeOf(() => essence(tree.stat(path))));
            assert.equal(ours, theirs, path);
            assert.equal(outcomeOf(() => view.resolve(path)), outcomeOf(() => real.resolve(path)), path);
          }
          assert.deepEqual(snapshot(view), snapshot(real));
        }),
        { numRuns: Number(process.env.STRATA_PROPERTY_RUNS ?? 150) },
      );
    });
  },
);

function essence(stat: ReturnType<StackedView["stat"]>): unknown {
  return stat && [stat.type, stat.mode, stat.uid, stat.mtime, stat.type === "dir" ? 0 : stat.size];
}

function link(target: string): TreeNode {
  return { type: "symlink", target };
}
