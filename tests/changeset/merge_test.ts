// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { mergeChangeset } from "../../src/changeset/merge.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import {
  at,
  describe as describeTree,
  dir,
  file,
  hardlink,
  Layering,
  type Member,
  symlink,
  unpackAll,
} from "../support/layering.ts";

const OTHER_MOUNT = "/dev/shm";
const isOtherMount = existsSync(OTHER_MOUNT) && statSync(OTHER_MOUNT).dev !== statSync(tmpdir()).dev;

const LOWER: Member[] = [
  dir("keep", { mode: 0o711, mtime: { sec: 1, nsec: 1 } }),
  file("keep/old", "o"),
  file("gone/x", "x"),
  file("file", "f"),
  file("dir/x", "x"),
  symlink("link", "keep"),
  file("hidden/deep/x", "x"),
];

const UPPER: Member[] = [
  file("keep/new", "n", { uid: 4, xattrs: { "user.a": "b" } }),
  file(".wh.gone"),
  dir("file", { mtime: { sec: 2, nsec: 2 } }),
  file("file/x", "x"),
  file("dir", "d"),
  dir("link"),
  dir("fresh", { mode: 0o1777, mtime: { sec: 3, nsec: 3 } }),
  dir("fresh/sub", { mtime: { sec: 4, nsec: 4 } }),
  file("fresh/sub/a", "a", { mode: 0o4755 }),
  hardlink("fresh/b", "fresh/sub/a"),
  hardlink("keep/c", "fresh/b"),
  symlink("fresh/l", "nowhere"),
  file("hidden/.wh..wh..opq"),
  file("hidden/deep/y", "y"),
];

describe("mergeChangeset()", () => {
  it("gives, on another mount, by copying what renaming gives", { skip: !isOtherMount }, () => {
    using renamed = new Layering();
    renamed.apply(...LOWER);
    renamed.apply(...UPPER);

    using staging = new Layering();
    staging.apply(...LOWER);
    const elsewhere = mkdtempSync(join(OTHER_MOUNT, "strata-merge-"));
    try {
      using base = new Layering();
      mergeInto(base.stage((unpacker) => unpackAll(unpacker, LOWER)), elsewhere);
      mergeInto(staging.stage((unpacker) => unpackAll(unpacker, UPPER)), elsewhere);
      using view = new PlainView(RootedDir.open(elsewhere));
      assert.deepEqual(describeTree(view), renamed.tree());
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it("moves the objects themselves where it can", () => {
    using layers = new Layering();
    const staged = layers.stage((unpacker) => unpackAll(unpacker, [file("d/f", "f")]));
    const { ino } = statSync(join(staged.tree, "d/f"));
    const into = join(layers.dir, "into");
    mkdirSync(into);
    mergeInto(staged, into);
    assert.equal(statSync(join(into, "d/f")).ino, ino);
  });

  it("does not remove through a symlink of the target", () => {
    using layers = new Layering();
    const into = join(layers.dir, "into");
    mkdirSync(into);
    mergeInto(layers.stage((unpacker) => unpackAll(unpacker, [file("d/x", "x"), symlink("l", "d")])), into);
    const staged = layers.stage((unpacker) => unpackAll(unpacker, [file("f", "f")]));
    const settled = { ...staged.settled, whiteouts: [at("l/x")], opaques: [at("l")] };
    mergeInto({ ...staged, settled }, into);
    assert.ok(existsSync(join(into, "d/x")));
  });
});

function mergeInto(staged: ReturnType<Layering["stage"]>, path: string): void {
  using tree = RootedDir.open(staged.tree);
  using into = RootedDir.open(path);
  mergeChangeset({ changeset: staged.settled, tree, into });
}
