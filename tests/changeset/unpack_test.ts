// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { fromText } from "../../src/core/bytes.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, dir, file, hardlink, Layering, type Member, member, symlink, unpackAll } from "../support/layering.ts";

function stage(layers: Layering, ...members: Member[]) {
  return layers.stage((unpacker) => unpackAll(unpacker, members));
}

function statOf(tree: string, path: string) {
  using root = RootedDir.open(tree);
  const stat = root.stat(at(path));
  assert.ok(stat, `"${path}" is missing`);
  return stat;
}

function xattrsOf(tree: string, path: string): Record<string, string> {
  using root = RootedDir.open(tree);
  return Object.fromEntries(
    Array.from(root.xattrs(at(path)), ([key, value]) => [key, new TextDecoder().decode(value)]),
  );
}

describe("Unpacker: metadata", () => {
  it("keeps owner, all twelve mode bits and times to the nanosecond", () => {
    using layers = new Layering();
    const options = { uid: 12, gid: 34, atime: { sec: -5, nsec: 1 }, mtime: { sec: 1_234_567_890, nsec: 999_999_999 } };
    const { tree, changeset } = stage(
      layers,
      file("f", "x", { ...options, mode: 0o107751 }),
      dir("d", { ...options, mode: 0o3775 }),
      symlink("l", "f", options),
      member("fifo", "p", { ...options, mode: 0o6600 }),
    );
    for (const [name, mode] of [["f", 0o7751], ["d", 0o3775], ["p", 0o6600], ["l", 0o777]] as const) {
      const { uid, gid, atime, mtime, ...stat } = statOf(tree, name);
      assert.deepEqual({ uid, gid, atime, mtime }, options, name);
      assert.equal(stat.mode, mode, name);
    }
    assert.equal(changeset.droppedCount, 0);
  });

  it("keeps capabilities, which chown clears, and attributes of a read-only file", () => {
    using layers = new Layering();
    const capability = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const { tree } = stage(
      layers,
      file("f", "", { uid: 1, mode: 0o444, xattrs: { "security.capability": capability, "user.a": "b" } }),
    );
    assert.deepEqual(xattrsOf(tree, "f"), { "security.capability": capability, "user.a": "b" });
  });

  it("sets attributes of a symlink on the symlink", () => {
    using layers = new Layering();
    const { tree, changeset } = stage(
      layers,
      file("f"),
      symlink("l", "f", { xattrs: { "trusted.a": "b", "user.c": "d" } }),
      symlink("dangling", "nothing", { xattrs: { "trusted.a": "b" } }),
    );
    assert.deepEqual(xattrsOf(tree, "l"), { "trusted.a": "b" });
    assert.deepEqual(xattrsOf(tree, "dangling"), { "trusted.a": "b" });
    assert.deepEqual(xattrsOf(tree, "f"), {});
    assert.deepEqual(changeset.dropped.map(({ entry, attribute }) => [entry, attribute]), [["l", "xattr user.c"]]);
  });

  it("drops and reports overlayfs's own attributes and those that no file system knows", () => {
    using layers = new Layering();
    const xattrs = {
      "trusted.overlay.opaque": "y",
      "user.overlay.whiteout": "y",
      "nonsense": "x",
      "user.overlays": "k",
    };
    const { tree, changeset } = stage(layers, dir("d", { xattrs }));
    assert.deepEqual(xattrsOf(tree, "d"), { "user.overlays": "k" });
    assert.deepEqual(changeset.dropped.map(({ attribute }) => attribute), [
      "xattr trusted.overlay.opaque",
      "xattr user.overlay.whiteout",
      "xattr nonsense",
    ]);
  });

  it("clamps times that file systems cannot hold, and says so", () => {
    using layers = new Layering();
    const { tree, changeset } = stage(
      layers,
      file("late", "", { mtime: { sec: 2 ** 40, nsec: 5 } }),
      file("early", "", { mtime: { sec: -(2 ** 33), nsec: 5 } }),
    );
    assert.deepEqual(statOf(tree, "late").mtime, { sec: 15_032_385_535, nsec: 0 });
    assert.deepEqual(statOf(tree, "early").mtime, { sec: -(2 ** 31), nsec: 0 });
    assert.deepEqual(changeset.dropped.map(({ attribute }) => attribute), ["mtime", "mtime"]);
  });

  it("gives directories their times after their children, whichever came first", () => {
    using layers = new Layering();
    const mtime = { sec: 7, nsec: 8 };
    const { tree, changeset } = stage(layers, file("a/x"), dir("a", { mtime }), dir("b", { mtime }), file("b/c/x"));
    assert.deepEqual(statOf(tree, "a").mtime, mtime);
    assert.deepEqual(statOf(tree, "b").mtime, mtime);
    assert.deepEqual(statOf(tree, "b/c").mtime, { sec: 0, nsec: 0 });
    assert.deepEqual(statOf(tree, "").mtime, { sec: 0, nsec: 0 });
    assert.deepEqual([...changeset.impliedDirs].sort(), ["", "b/c"]);
    assert.deepEqual([...changeset.enteredDirs].sort(), ["a", "b/c"]);
  });

  it("applies the root's member, under any spelling", () => {
    for (const name of [".", "./", "/", "a/.."]) {
      using layers = new Layering();
      const { tree, changeset } = stage(layers, dir(name, { mode: 0o1777, uid: 9, mtime: { sec: 3, nsec: 4 } }));
      const { mode, uid, mtime } = statOf(tree, "");
      assert.deepEqual({ mode, uid, mtime }, { mode: 0o1777, uid: 9, mtime: { sec: 3, nsec: 4 } });
      assert.deepEqual(changeset.impliedDirs, []);
    }
  });

  it("fills a directory that nobody may enter", () => {
    using layers = new Layering();
    const { tree } = stage(layers, dir("d", { mode: 0 }), file("d/f", "f", { mode: 0 }));
    assert.equal(statOf(tree, "d").mode, 0);
    assert.equal(statOf(tree, "d/f").size, 1);
  });

  for (
    const [what, options] of Object.entries({ uid: { uid: 2 ** 32 - 1 }, gid: { gid: 2 ** 32 }, negative: { uid: -1 } })
  ) {
    it(`refuses an owner that no file can have: ${what}`, () => {
      using layers = new Layering();
      assert.throws(() => stage(layers, file("f", "", options)), (error) => hasCode(error, "INVALID_ARCHIVE"));
    });
  }

  it("takes the largest owner that a file can have", () => {
    using layers = new Layering();
    const { tree } = stage(layers, file("f", "", { uid: 2 ** 32 - 2, gid: 2 ** 32 - 2 }));
    assert.equal(statOf(tree, "f").uid, 2 ** 32 - 2);
  });
});

describe("Unpacker: ownership self", () => {
  it("keeps the process's owner and its access, and reports all that it leaves out", () => {
    using layers = new Layering("self");
    const { tree, changeset } = stage(
      layers,
      dir("d", { mode: 0o500, uid: 5 }),
      file("d/f", "f", { mode: 0o4040, uid: 5, xattrs: { "security.x": "1", "trusted.y": "2", "user.z": "3" } }),
      member("char", "d/null", { devMajor: 1, devMinor: 3 }),
      hardlink("d/null2", "d/null"),
    );
    assert.equal(statOf(tree, "d").mode, 0o700);
    assert.equal(statOf(tree, "d/f").mode, 0o440);
    assert.equal(statOf(tree, "d/f").uid, statOf(tree, "").uid);
    assert.deepEqual(xattrsOf(tree, "d/f"), { "user.z": "3" });
    assert.deepEqual(readdirSync(join(tree, "d")), ["f"]);
    assert.deepEqual(changeset.dropped.map(({ entry, attribute }) => `${entry} ${attribute}`), [
      "d mode 0500",
      "d owner 5:0",
      "d/f mode 4040",
      "d/f owner 5:0",
      "d/f xattr security.x",
      "d/f xattr trusted.y",
      "d/null char",
      "d/null2 hardlink",
    ]);
  });

  it("hides what a device that it leaves out would have replaced", () => {
    using layers = new Layering("self");
    layers.apply(file("a", "a"), file("b/x", "x"));
    layers.apply(member("block", "a", { devMajor: 8 }), member("char", "b", { devMajor: 1, devMinor: 3 }), dir("b"));
    assert.deepEqual(layers.names(), ["b dir"]);
  });

  it("lists the first of many drops and counts all", () => {
    using layers = new Layering("self");
    const { changeset } = stage(layers, ...Array.from({ length: 150 }, (_, i) => file(`f${i}`, "", { mode: 0o4644 })));
    assert.equal(changeset.dropped.length, 100);
    assert.equal(changeset.droppedCount, 150);
  });

  it("cuts what is too long to be kept with a record", () => {
    using layers = new Layering("self");
    const { changeset } = stage(layers, file("f", "", { xattrs: { [`trusted.${"x".repeat(5000)}`]: "" } }));
    assert.deepEqual(changeset.dropped.map(({ attribute }) => [attribute.length, attribute.at(-1)]), [[1025, "…"]]);
  });
});

describe("Unpacker: content", () => {
  it("writes a sparse member's pieces where they belong, and leaves the holes", () => {
    using layers = new Layering();
    const sparse = [{ offset: 0, length: 3 }, { offset: 100_000, length: 0 }, { offset: 1 << 20, length: 4 }];
    const { entry } = file("f", "", { size: 3 << 20, storedSize: 7, sparse });
    const { tree, changeset } = layers.stage((unpacker) => {
      unpacker.entry(entry);
      for (const piece of ["a", "bcd", "efg"]) unpacker.data(new TextEncoder().encode(piece));
      unpacker.endEntry();
      return unpacker.finish();
    });
    const content = readFileSync(join(tree, "f"));
    assert.equal(content.length, 3 << 20);
    assert.equal(content.toString("latin1", 0, 4), "abc\0");
    assert.equal(content.toString("latin1", 1 << 20, (1 << 20) + 5), "defg\0");
    assert.ok(statOf(tree, "f").blocks * 512 < 1 << 20, "the holes were written");
    assert.equal(changeset.sizeBytes, 3 << 20);
  });

  it("counts members and their sizes", () => {
    using layers = new Layering();
    const { changeset } = stage(layers, member("global", "pax_global_header"), file("f", "abc"), file(".wh.g", "de"));
    assert.equal(changeset.entryCount, 3);
    assert.equal(changeset.sizeBytes, 5);
  });

  it("counts what the tree holds at the end, each object once", () => {
    using layers = new Layering();
    const { changeset } = stage(
      layers,
      file("replaced", "12345678"),
      file("f", "abc"),
      hardlink("g", "f"),
      symlink("s", "target"),
      hardlink("t", "s"),
      dir("replaced"),
      file("dir/.wh.h", "de"),
    );
    assert.equal(changeset.treeBytes, 3 + 6);
  });

  it("closes the file of a member that is broken off", () => {
    using layers = new Layering();
    layers.stage((unpacker) => {
      unpacker.entry(file("f", "abc").entry);
      unpacker[Symbol.dispose]();
      return unpacker.finish();
    });
  });
});

describe("Unpacker: what a later member replaces", () => {
  /** The contents that were kept, by the member's position. */
  function kept(staged: ReturnType<typeof stage>): Record<number, string> {
    return Object.fromEntries(
      staged.changeset.lost.map(({ entryIndex, keptAs }) => [
        entryIndex,
        readFileSync(join(staged.displaced, keptAs), "utf8"),
      ]),
    );
  }

  it("keeps the content of files that were replaced, one by one and with their directory", () => {
    using layers = new Layering();
    const staged = stage(
      layers,
      file("f", "0"),
      file("d/f", "1"),
      file("d/e/f", "2"),
      file("f", "3"),
      file("d/f", "4"),
      symlink("d", "t"),
      file("d/f", "6"),
    );
    assert.deepEqual(kept(staged), { 0: "0", 1: "1", 2: "2", 4: "4" });
    assert.equal(readFileSync(join(staged.tree, "t/f"), "utf8"), "6");
    assert.equal(readFileSync(join(staged.tree, "f"), "utf8"), "3");
  });

  it("keeps the content of a directory that a file replaced", () => {
    using layers = new Layering();
    const staged = stage(layers, file("d/e/f", "0"), file("d", "1"));
    assert.deepEqual(kept(staged), { 0: "0" });
  });

  it("keeps content whose name leads elsewhere since a symlink changed", () => {
    using layers = new Layering();
    const staged = stage(layers, symlink("s", "a"), file("s/f", "1"), symlink("s", "b"), file("s/f", "3"));
    assert.deepEqual(kept(staged), { 1: "1" });
    assert.equal(readFileSync(join(staged.tree, "a/f"), "utf8"), "1");
    assert.deepEqual(readdirSync(staged.tree).sort(), ["a", "b", "s"]);
  });

  it("counts a file as kept by any of its names", () => {
    using layers = new Layering();
    const staged = stage(layers, file("f", "0"), hardlink("g", "f"), file("x", "2"), hardlink("x", "g"));
    assert.deepEqual(kept(staged), { 2: "2" });
    const replaced = stage(layers, file("f", "0"), hardlink("g", "f"), symlink("f", "g"));
    assert.deepEqual(kept(replaced), { 0: "0" });
  });

  it("keeps nothing when nothing is lost", () => {
    using layers = new Layering();
    const staged = stage(
      layers,
      file("f", "0"),
      dir("d"),
      dir("d"),
      file("e"),
      file("e", "x"),
      symlink("l", "a"),
      file("l"),
    );
    assert.deepEqual(staged.changeset.lost, []);
    assert.deepEqual(readdirSync(staged.displaced), []);
  });

  it("replaces a directory with all its names, also those that were only pending", () => {
    using layers = new Layering();
    layers.apply(file("below", "b"));
    const { changeset } = stage(layers, hardlink("d/h", "below"), file("d", "f"));
    assert.deepEqual(changeset.pendingLinks, []);
    const again = stage(layers, hardlink("h", "below"), hardlink("i", "h"), file("h", "h"));
    assert.deepEqual(again.changeset.pendingLinks, [{ path: "i", target: "below" }]);
  });
});

describe("Unpacker: refusals", () => {
  const REFUSED: readonly (readonly [string, ...Member[]])[] = [
    ["a device number beyond 12 bits", member("char", "c", { devMajor: 4096 })],
    ["a device number beyond 20 bits", member("block", "c", { devMinor: 1 << 20 })],
    ["a device number that is none", member("char", "c", { devMajor: -1 })],
    ["a symlink without a target", symlink("l", "")],
    ["a symlink's target with a NUL", symlink("l", "a\0b")],
    ["a hard link to a whiteout", file("f"), hardlink("h", ".wh.f")],
    ["a hard link to the root", hardlink("h", "/")],
    ["a hard link to itself through a symlink", file("d/f"), symlink("l", "d"), hardlink("l/f", "d/f")],
    ["a hard link that replaces its target's directory", file("d/f", "f"), hardlink("d", "d/f")],
    ["a whiteout below a file", file("f"), file("f/.wh.x")],
    ["a hard link to a lower file as a parent", hardlink("h", "f"), file("h/x")],
  ];
  for (const [what, ...members] of REFUSED) {
    it(`refuses ${what}`, () => {
      using layers = new Layering();
      assert.throws(() => stage(layers, ...members), (error) => {
        return hasCode(error, "INVALID_ARCHIVE") && /^Cannot /.test(error.message);
      });
    });
  }

  it("refuses a path that symlinks make too long", () => {
    using layers = new Layering();
    assert.throws(() => stage(layers, ...longPath()), (error) => hasCode(error, "LIMIT_EXCEEDED"));
  });

  it("names an unknown type by its flag", () => {
    using layers = new Layering();
    assert.throws(() => stage(layers, member("unknown", "f", { typeFlag: 0x37 })), /"f": its type "7" is unknown/);
  });

  it("takes a whale, a name without a second dot, for a name", () => {
    using layers = new Layering();
    const { tree } = stage(layers, file(".whale"), file(".wh"), file("a.wh.b"));
    assert.deepEqual(readdirSync(tree).sort(), [".wh", ".whale", "a.wh.b"]);
  });

  it("has one object of two names that are alike to a decoder", () => {
    using layers = new Layering();
    const { tree } = stage(layers, file("caf\u00e9"), file("cafe\u0301"), file("CAFE"), file("cafe"));
    assert.equal(readdirSync(tree).length, 4);
    assert.ok(existsSync(join(tree, "caf\u00e9")));
    assert.equal(fromText("caf\u00e9").length, 5);
  });
});

/** Each link doubles what it stands for. */
function longPath(): Member[] {
  const deep = Array.from({ length: 10 }, () => "d".repeat(200)).join("/");
  return [symlink("a", deep), symlink(`${deep}/b`, deep), file("a/b/f"), file(`a/b/${"e/".repeat(100)}f`)];
}
