// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { settle } from "../../src/changeset/settle.ts";
import { hasCode } from "../../src/core/errors.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { dir, file, hardlink, Layering, member, symlink, unpackAll } from "../support/layering.ts";

describe("settle(): the premise", () => {
  it("asks for a replay only where the layer entered a symlink below", () => {
    using layers = new Layering();
    layers.apply(symlink("lib", "usr/lib"), symlink("usr/lib", "../opt"), dir("opt"), dir("etc"));
    assert.equal(layers.apply(file("etc/x"), file("usr/y"), dir("opt/z")).replays, 0);
    assert.equal(layers.apply(file("lib/x")).replays, 1);
    assert.equal(layers.apply(hardlink("h", "lib/x")).replays, 1, "for a hard link's target");
    assert.equal(layers.apply(file("lib/.wh.x")).replays, 1, "for a whiteout's parent");
    assert.equal(layers.apply(file("lib/.wh..wh..opq")).replays, 1, "for an opaque directory");
    assert.equal(layers.apply(file(".wh.lib"), file("lib/x")).replays, 0, "not for a symlink that the layer removes");
  });

  it("gives every symlink on the way with its text, and keeps those of the round before", () => {
    using layers = new Layering();
    layers.apply(symlink("lib", "usr/lib"), symlink("usr/lib", "../opt"), symlink("opt", "/o"));
    using scratch = new Layering();
    const { tree, changeset } = scratch.stage((unpacker) => unpackAll(unpacker, [file("lib/x")]));
    using root = RootedDir.open(tree);
    using below = new PlainView(RootedDir.open(layers.root));
    const redirects = new Map([[changeset.impliedDirs[0]!, changeset.impliedDirs[0]!]]);
    const outcome = settle({ changeset, tree: root, below, ownership: "archive", redirects });
    assert.ok(outcome.kind === "replay");
    assert.deepEqual([...outcome.redirects], [["", ""], ["lib", "usr/lib"], ["usr/lib", "../opt"], ["opt", "/o"]]);
  });

  it("finds the symlinks that only the replay meets", () => {
    using layers = new Layering();
    layers.apply(dir("usr/lib"), symlink("lib", "usr/lib"), symlink("far", "near"), dir("near"));
    const { replays } = layers.apply(symlink("lib/s", "/far"), file("usr/lib/s/x", "x"));
    assert.equal(replays, 2);
    assert.ok(layers.names().includes('near/x file "x"'));
  });
});

describe("settle(): whiteouts and opaque directories", () => {
  /** What is left to the driver. */
  function hiding(layers: Layering, ...names: string[]) {
    const { settled } = layers.stage((unpacker) => unpackAll(unpacker, names.map((name) => file(name))));
    return { whiteouts: settled.whiteouts, opaques: settled.opaques };
  }

  it("drops those that hide nothing", () => {
    using layers = new Layering();
    layers.apply(file("d/x"), file("f"), symlink("l", "d"));
    assert.deepEqual(hiding(layers, ".wh.nothing", "d/.wh.nothing", "new/.wh..wh..opq"), {
      whiteouts: [],
      opaques: [],
    });
    assert.deepEqual(hiding(layers, ".wh.f", "f"), { whiteouts: [], opaques: [] });
  });

  it("drops those inside what is hidden already", () => {
    using layers = new Layering();
    layers.apply(file("d/e/x"), file("d/y"));
    assert.deepEqual(hiding(layers, "d/.wh..wh..opq", "d/.wh.y", "d/e/.wh..wh..opq", "d/e/.wh.x"), {
      whiteouts: [],
      opaques: ["d"],
    });
    assert.deepEqual(hiding(layers, ".wh..wh..opq", "d/.wh..wh..opq", ".wh.d"), { whiteouts: [], opaques: [""] });
  });

  it("makes an opaque directory of a whiteout where the layer has a directory", () => {
    using layers = new Layering();
    layers.apply(file("d/x"), file("e/x"));
    assert.deepEqual(hiding(layers, ".wh.d", "d/y", ".wh.e"), { whiteouts: ["e"], opaques: ["d"] });
  });

  it("has none in a base layer", () => {
    using layers = new Layering();
    const { settled } = layers.apply(file(".wh.a"), file("d/.wh..wh..opq"), file("f"));
    assert.deepEqual([settled.whiteouts, settled.opaques], [[], []]);
    assert.deepEqual(layers.names(), ["d dir", 'f file ""']);
  });
});

describe("settle(): hard links to files below", () => {
  it("copies content, holes aside, and all metadata; implied parents too", () => {
    using layers = new Layering();
    const options = { mode: 0o4711, uid: 3, gid: 4, mtime: { sec: 11, nsec: 12 }, xattrs: { "user.a": "b" } };
    layers.apply(dir("d", { mode: 0o700, mtime: { sec: 1, nsec: 2 } }), file("d/f", "content", options), dir("e"));
    const before = layers.tree();
    layers.apply(hardlink("e/h", "d/f"));
    const after = layers.tree();
    assert.equal(after[1], before[1], "the implied directory");
    assert.equal(after[2], before[2], "the file");
    assert.equal(after[4], before[2]!.replace('d/f file "content"', 'e/h file "content" = d/f'));
  });

  it("copies whatever is no directory", () => {
    using layers = new Layering();
    layers.apply(
      symlink("l", "x"),
      member("fifo", "p", { mode: 0o622 }),
      member("char", "c", { devMajor: 1, devMinor: 7 }),
    );
    layers.apply(hardlink("l2", "l"), hardlink("p2", "p"), hardlink("c2", "c"), file(".wh.c"));
    assert.deepEqual(layers.names(), [
      "c2 char 1:7",
      "l symlink -> x",
      "l2 symlink -> x = l",
      "p fifo",
      "p2 fifo = p",
    ]);
  });

  it("keeps the times of directories that get the names", () => {
    using layers = new Layering();
    layers.apply(file("f", "f"), file("d/g", "g"));
    layers.apply(dir("d", { mtime: { sec: 5, nsec: 6 } }), hardlink("d/h", "f"), hardlink("i", "d/g"));
    assert.match(layers.tree()[1]!, /^d dir \| 755 0:0 5\.6$/);
  });

  it("names both paths of a link to nothing", () => {
    using layers = new Layering();
    for (const chain of ["a base layer", "a layer on another"]) {
      assert.throws(
        () => layers.apply(hardlink("new", "some/old")),
        (error) => hasCode(error, "INVALID_ARCHIVE") && /"new" to "some\/old"/.test(error.message),
        chain,
      );
      layers.apply(dir("some"));
    }
  });
});
