// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { linkSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openForRead } from "../../src/host/files.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, file, hardlink, Layering, type Member, member } from "../support/layering.ts";
import { AS_ROOT } from "./trees.ts";

const MTIME = { sec: 5, nsec: 6 };
const OWN = { uid: 7, gid: 8, mode: 0o4750, mtime: MTIME };

/** A file elsewhere, made as the member would have it, and what a test changes of it. */
function fileOf(layers: Layering, content: string, change: (dir: RootedDir) => void = () => {}): string {
  const dir = join(layers.dir, "elsewhere");
  mkdirSync(dir, { recursive: true });
  using root = RootedDir.open(dir);
  writeFileSync(join(dir, "f"), content);
  root.setOwner(at("f"), 7, 8);
  root.setMode(at("f"), 0o4750);
  root.setTimes(at("f"), { atime: MTIME, mtime: MTIME });
  change(root);
  return join(dir, "f");
}

/** Unpacks members whose content comes from a file that is adopted. */
function adopt(layers: Layering, path: string, ...members: readonly Member[]) {
  return layers.stage((unpacker) => {
    for (const { entry, content } of members) {
      unpacker.entry(entry);
      if (content.length > 0) {
        using source = openForRead(path);
        unpacker.adopt(source);
        unpacker.data(content);
      }
      unpacker.endEntry();
    }
    return unpacker.finish();
  });
}

function inode(path: string): bigint {
  return statSync(path, { bigint: true }).ino;
}

function factsOf(path: string) {
  // Node tells of nanoseconds, too.
  const { mode, uid, gid, mtimeMs } = statSync(path);
  return { mode: (mode & 0o7777).toString(8), uid, gid, mtimeMs: Math.floor(mtimeMs) };
}

describe("Unpacker: files that are adopted", AS_ROOT, () => {
  it("get a name in the tree, and the member's metadata when nobody else has them", () => {
    using layers = new Layering();
    const path = fileOf(layers, "content", (root) => root.setMode(at("f"), 0o600));
    const { tree } = adopt(layers, path, file("d/g", "content", { ...OWN, xattrs: { "user.a": "b" } }));
    assert.equal(inode(join(tree, "d/g")), inode(path));
    assert.deepEqual(factsOf(join(tree, "d/g")), { mode: "4750", uid: 7, gid: 8, mtimeMs: 5000 });
    using root = RootedDir.open(join(tree, "d"));
    assert.deepEqual([...root.xattrs(at("g")).keys()], ["user.a"]);
  });

  it("are shared with others who have them only if nothing is changed", () => {
    using layers = new Layering();
    const path = fileOf(layers, "content");
    linkSync(path, `${path}-too`);
    const before = statSync(path, { bigint: true });
    const { tree: same } = adopt(layers, path, file("g", "content", OWN));
    assert.equal(inode(join(same, "g")), inode(path));
    const { tree: other } = adopt(layers, path, file("g", "content", { ...OWN, uid: 9 }));
    assert.notEqual(inode(join(other, "g")), inode(path));
    assert.equal(readFileSync(join(other, "g"), "utf8"), "content");
    assert.deepEqual(factsOf(join(other, "g")), { mode: "4750", uid: 9, gid: 8, mtimeMs: 5000 });
    const { uid, mode, mtimeNs } = statSync(path, { bigint: true });
    assert.deepEqual([uid, mode, mtimeNs], [before.uid, before.mode, before.mtimeNs]);
  });

  it("are copied when they have attributes that the member has not", () => {
    using layers = new Layering();
    const path = fileOf(layers, "content", (root) => root.setXattr(at("f"), at("user.alien"), new Uint8Array(1)));
    const { tree } = adopt(layers, path, file("g", "content", OWN));
    assert.notEqual(inode(join(tree, "g")), inode(path));
    using root = RootedDir.open(tree);
    assert.deepEqual([...root.xattrs(at("g"))], []);
  });

  it("make two members two files, and a hard link one", () => {
    using layers = new Layering();
    const path = fileOf(layers, "content");
    const { tree } = adopt(
      layers,
      path,
      file("one", "content", OWN),
      file("two", "content", OWN),
      hardlink("three", "one", OWN),
    );
    assert.notEqual(inode(join(tree, "one")), inode(join(tree, "two")));
    assert.equal(inode(join(tree, "one")), inode(join(tree, "three")));
    assert.equal(readFileSync(join(tree, "two"), "utf8"), "content");
  });

  it("are not taken when they cannot be the payload", () => {
    using layers = new Layering();
    const path = fileOf(layers, "longer than that");
    const sparse = { size: 16, storedSize: 4, sparse: [{ offset: 4, length: 4 }] };
    const { tree } = adopt(layers, path, file("short", "pay", OWN), file("sparse", "load", { ...OWN, ...sparse }));
    assert.equal(readFileSync(join(tree, "short"), "utf8"), "pay");
    assert.equal(readFileSync(join(tree, "sparse"), "latin1"), "\0\0\0\0load\0\0\0\0\0\0\0\0");
    // What has begun to come is written to its end.
    const late = layers.stage((unpacker) => {
      const { entry, content } = file("late", "another content.", OWN);
      unpacker.entry(entry);
      unpacker.data(content.subarray(0, 3));
      using source = openForRead(path);
      unpacker.adopt(source);
      unpacker.data(content.subarray(3));
      unpacker.endEntry();
      return unpacker.finish();
    });
    assert.equal(readFileSync(join(late.tree, "late"), "utf8"), "another content.");
  });

  it("are nothing to members that are no files", () => {
    using layers = new Layering();
    const path = fileOf(layers, "content");
    const { tree } = layers.stage((unpacker) => {
      unpacker.entry(member("fifo", "pipe").entry);
      using source = openForRead(path);
      unpacker.adopt(source);
      unpacker.endEntry();
      return unpacker.finish();
    });
    assert(statSync(join(tree, "pipe")).isFIFO());
  });

  for (const ownership of ["self", "recorded"] as const) {
    it(`have the metadata that others of the tree have (${ownership})`, () => {
      using layers = new Layering(ownership);
      using written = new Layering(ownership);
      const members = [file("d/g", "content", { ...OWN, xattrs: { "user.a": "b" } })];
      const path = fileOf(layers, "content");
      const { tree, changeset } = adopt(layers, path, ...members);
      const reference = written.stage((unpacker) => {
        for (const { entry, content } of members) {
          unpacker.entry(entry);
          unpacker.data(content);
          unpacker.endEntry();
        }
        return unpacker.finish();
      });
      assert.deepEqual(changeset.dropped, reference.changeset.dropped);
      const dirs = [tree, reference.tree].map((of) => RootedDir.open(join(of, "d")));
      const [own, other] = dirs.map((root) => [[...root.xattrs(at("g"))], factsOf(join(root.path, "g"))]);
      for (const root of dirs) root.close();
      assert.deepEqual(own?.[0], other?.[0]);
      assert.deepEqual(own?.[1], other?.[1]);
    });
  }
});
