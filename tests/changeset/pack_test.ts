// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { display } from "../../src/core/bytes.ts";
import { hasCode } from "../../src/core/errors.ts";
import { CHUNK_BYTES } from "../../src/core/limits.ts";
import type { DroppedAttribute } from "../../src/core/dropped_attribute.ts";
import { compareTrees } from "../../src/changeset/compare.ts";
import { packChanges, packTree } from "../../src/changeset/pack.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import type { TarEntry } from "../../src/tar/entry.ts";
import { readMembers } from "../support/tar_reading.ts";
import { applyLayer, joined } from "./apply_layer.ts";
import { checkChangedStacks, checkChangedTrees } from "./changed_trees.ts";
import { AS_ROOT, at, dir, file, Scratch, type TreeNode } from "./trees.ts";

function packed(before: TreeNode, now: TreeNode): TarEntry[] {
  using scratch = new Scratch();
  using old = new PlainView(scratch.tree(before));
  using fresh = new PlainView(scratch.tree(now));
  const archive = joined(packChanges({ now: fresh, changes: compareTrees({ now: fresh, before: old }) }));
  return readMembers(archive).map((member) => member.entry);
}

describe("packChanges()", AS_ROOT, () => {
  it("writes members in bytewise order of their paths, directories with a slash, deletions as whiteouts", () => {
    const before = dir({ d: dir({ gone: file(), kept: file() }), old: dir({ x: file() }) });
    const now = dir({ d: dir({ kept: file(), new: file("n") }), "d.x": file() }, { mode: 0o711 });
    assert.deepEqual(packed(before, now).map((entry) => display(entry.name)), [
      "./",
      "d/",
      "d.x",
      "d/.wh.gone",
      "d/new",
      ".wh.old",
    ]);
  });

  it("writes whiteouts that depend on nothing but the name", () => {
    const [whiteout] = packed(dir({ f: file("x", { owner: 5, mode: 0o600 }) }), dir());
    assert.ok(whiteout);
    const { type, mode, uid, gid, size, mtime } = whiteout;
    assert.deepEqual({ type, mode, uid, gid, size, mtime }, {
      type: "file",
      mode: 0,
      uid: 0,
      gid: 0,
      size: 0,
      mtime: { sec: 0, nsec: 0 },
    });
  });

  it("keeps every attribute byte for byte, and times to the nanosecond", () => {
    const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    const xattrs = { "user.bin": "\x00\xff\n", "trusted.t": "", "security.capability": capability };
    const [entry] = packed(dir(), dir({ f: file("x", { mode: 0o4755, owner: 9, mtime: [-1, 999_999_999], xattrs }) }));
    assert.ok(entry);
    assert.deepEqual(
      Object.fromEntries(Array.from(entry.xattrs, ([name, value]) => [name, Buffer.from(value).toString("latin1")])),
      xattrs,
    );
    assert.deepEqual([entry.mode, entry.uid, entry.mtime], [0o4755, 9, { sec: -1, nsec: 999_999_999 }]);
  });

  it("writes the first name of a file whole and further ones as links with the same metadata", () => {
    const xattrs = { "user.a": "1" };
    const entries = packed(dir(), dir({ b: file("x", { xattrs }), a: { type: "link", to: 0 } }));
    assert.deepEqual(entries.map(({ name, type, linkName }) => [name, type, linkName]), [
      ["a", "file", ""],
      ["b", "hardlink", "a"],
    ]);
    assert.deepEqual(entries[1]?.xattrs, entries[0]?.xattrs);
  });

  it("writes a file whole whose other names are not among the changes", () => {
    using scratch = new Scratch();
    using now = new PlainView(scratch.tree(dir({ a: file("x"), b: { type: "link", to: 0 } })));
    const [member] = readMembers(joined(packChanges({ now, changes: [{ path: at("b"), kind: "add" }] })));
    assert.equal(member?.entry.type, "file");
    assert.equal(member?.payload.length, 1);
  });

  it("skips what a layer cannot hold, and tells it", () => {
    using scratch = new Scratch();
    const odd = { ".wh.f": dir({ x: file() }), f: file("", { xattrs: { "user.a=b": "1", "user.c": "2" } }) };
    using now = new PlainView(scratch.tree(dir({ ...odd, s: { type: "socket" } })));
    const skipped: DroppedAttribute[] = [];
    const members = readMembers(joined(packTree(now, { onSkip: (drop) => skipped.push(drop) })));
    assert.deepEqual(members.map(({ entry }) => [entry.name, entry.xattrs.size]), [["./", 0], ["f", 1]]);
    assert.deepEqual(skipped.map(({ entry, attribute }) => [entry, attribute]), [
      [".wh.f", "name"],
      [".wh.f/x", "name"],
      ["f", "xattr user.a=b"],
      ["s", "socket"],
    ]);
  });

  it("gives the same bytes for equal trees", () => {
    using scratch = new Scratch();
    const tree = dir({ f: file("x", { xattrs: { "user.b": "1", "user.a": "2" } }), d: dir({ g: file("y") }) });
    using one = new PlainView(scratch.tree(tree));
    using other = new PlainView(scratch.tree(tree));
    assert.deepEqual(joined(packTree(one)), joined(packTree(other)));
  });

  it("gives chunks of 1 MiB, each its own", () => {
    using scratch = new Scratch();
    using view = new PlainView(scratch.tree(dir({ f: file("x".repeat(2_500_000)), g: file("y") })));
    const chunks = [...packTree(view)];
    assert.deepEqual(chunks.slice(0, -1).map((chunk) => chunk.length), [CHUNK_BYTES, CHUNK_BYTES]);
    assert.deepEqual(readMembers(joined(chunks)).map((member) => member.payload.length), [0, 2_500_000, 1]);
  });

  it("never ends an archive with a file that changed while it was read", () => {
    const resize = (size: number) => {
      using scratch = new Scratch();
      const root = scratch.tree(dir({ f: file("x".repeat(100)) }));
      using view = new PlainView(root);
      // The size is announced as it was before.
      const stat = view.stat(at("f"));
      const stale: TreeView = Object.assign(Object.create(null), {
        stat: () => stat,
        xattrs: () => new Map(),
        openRead: () => view.openRead(at("f")),
      });
      using replaced = RootedDir.open(root.path);
      replaced.unlink(at("f"));
      using made = replaced.create(at("f"), 0o644);
      made.truncate(size);
      return joined(packChanges({ now: stale, changes: [{ path: at("f"), kind: "modify" }] }));
    };
    const isTorn = (why: string) => (error: unknown) =>
      hasCode(error, "IO") && error.message.includes('pack "/f"') && error.message.includes(why);
    assert.throws(() => resize(99), isTorn("shrank to 99"));
    assert.throws(() => resize(101), isTorn("grew"));
    assert.equal(readMembers(resize(100)).length, 1);
  });

  it("fails for a path that is gone", () => {
    using scratch = new Scratch();
    using now = new PlainView(scratch.tree(dir()));
    const pack = () => joined(packChanges({ now, changes: [{ path: at("f"), kind: "add" }] }));
    assert.throws(pack, (error) => hasCode(error, "IO") && error.detail.path === "f");
  });

  it("stops when the signal fires", () => {
    using scratch = new Scratch();
    using view = new PlainView(scratch.tree(dir({ f: file("x".repeat(3_000_000)) })));
    const controller = new AbortController();
    const chunks = packTree(view, { signal: controller.signal });
    assert.equal(chunks.next().done, false);
    controller.abort();
    assert.throws(() => chunks.next(), (error) => hasCode(error, "ABORTED"));
  });

  it("makes the old tree the new one when it is applied, whatever the trees", () => {
    checkChangedTrees((_, layer, into) => applyLayer(into, joined(layer)));
  });

  it("makes an overlay's lower layers the whole stack when it is applied, whatever the layers", () => {
    checkChangedStacks((_, layer, into) => applyLayer(into, joined(layer)));
  });
});
