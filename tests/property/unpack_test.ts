// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PlainView } from "../../src/changeset/plain_view.ts";
import type { TreeView } from "../../src/changeset/tree_view.ts";
import { hasCode } from "../../src/core/errors.ts";
import { parseLayerPath } from "../../src/core/layer_path.ts";
import { directorySize } from "../../src/driver/parts/directory_size.ts";
import { hasErrno } from "../../src/host/errno.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import {
  type at,
  dir,
  file,
  hardlink,
  Layering,
  type Member,
  member,
  symlink,
  unpackAll,
} from "../support/layering.ts";

const RUNS = { numRuns: 150 };

test("every chain of layers is refused or has one tree, merged or stacked", () => {
  fc.assert(
    fc.property(chain(), (layers) => {
      using layering = new Layering();
      // The comparison is in apply().
      for (const layer of layers) attempt(() => layering.apply(...layer));
    }),
    RUNS,
  );
});

test("I6: every content of a layer is found by its name, in the layer, the merged tree or what was kept", () => {
  fc.assert(
    fc.property(chain(), (layers) => {
      using layering = new Layering();
      for (const layer of layers) {
        const staged = attempt(() => layering.stage((unpacker) => unpackAll(unpacker, layer)));
        if (staged === undefined) continue;
        layering.apply(...layer);
        using tree = new PlainView(RootedDir.open(staged.tree));
        using merged = new PlainView(RootedDir.open(layering.root));
        using displaced = new PlainView(RootedDir.open(staged.displaced));
        const lost = new Map(staged.settled.lost.map(({ entryIndex, keptAs }) => [entryIndex, keptAs]));
        layer.forEach(({ entry, content }, index) => {
          if (entry.type !== "file" || content.length === 0 || /(^|\/)\.wh\./.test(entry.name)) return;
          const keptAs = lost.get(index);
          const name = parseLayerPath(entry.name);
          const found = keptAs === undefined
            ? contentOf(tree, name) ?? contentOf(merged, name)
            : contentOf(displaced, keptAs);
          assert.deepEqual(found, content, `content of member ${index}, "${entry.name}"`);
        });
      }
    }),
    RUNS,
  );
});

test("a layer knows the bytes of its tree, unless something of the layers below was copied into it", () => {
  let known = 0;
  fc.assert(
    fc.property(chain(), (layers) => {
      using layering = new Layering();
      for (const layer of layers) {
        const staged = attempt(() => layering.stage((unpacker) => unpackAll(unpacker, layer)));
        if (staged === undefined) continue;
        const { tree, changeset, settled: { treeBytes } } = staged;
        using dir = RootedDir.open(tree);
        assert.equal(treeBytes === undefined, changeset.pendingLinks.length > 0);
        if (treeBytes === undefined) continue;
        assert.equal(treeBytes, directorySize(dir));
        known++;
        layering.apply(...layer);
      }
    }),
    RUNS,
  );
  assert.ok(known > RUNS.numRuns / 4, `only ${known} layers had no links to below`);
});

test("regression: a layer replaces a symlink below in the middle of the way that it took before", () => {
  using layering = new Layering();
  layering.apply(symlink("a", "../b"), symlink("b", "/"));
  layering.apply(file("a/c", "1"), dir("b"), file("a/d", "3"));
  assert.deepEqual(layering.names(), ["a symlink -> ../b", "b dir", 'b/d file "3"', 'c file "1"']);
  const { settled } = layering.stage((unpacker) =>
    unpackAll(unpacker, [dir("b"), file("a/e", "e"), symlink("b", "/")])
  );
  assert.deepEqual(settled.lost.map(({ entryIndex }) => entryIndex), [1]);
});

test("without whiteouts, one layer gives the tree that its members give one after the other", () => {
  let compared = 0;
  fc.assert(
    fc.property(fc.array(anyObject(), { maxLength: 6 }), fc.array(anyObject(), { maxLength: 5 }), (lower, upper) => {
      using whole = new Layering();
      using pieces = new Layering();
      for (const layering of [whole, pieces]) {
        attempt(() => layering.apply(dir("a"), ...lower)) ?? layering.apply(dir("a"));
      }
      // A file cannot become a parent within one layer, so there one of the two may be refused.
      if (attempt(() => whole.apply(...upper)) === undefined) return;
      for (const piece of upper) if (attempt(() => pieces.apply(piece)) === undefined) return;
      compared++;
      assert.deepEqual(withoutLinks(whole.tree()), withoutLinks(pieces.tree()));
    }),
    RUNS,
  );
  assert.ok(compared > RUNS.numRuns / 4, `only ${compared} cases were comparable`);
});

/** Which names are one object depends on what was in one layer. */
function withoutLinks(lines: readonly string[]): string[] {
  return lines.map((line) => line.replace(/ = \S+ \|/, " |"));
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (hasCode(error, "INVALID_ARCHIVE")) return undefined;
    throw error;
  }
}

function contentOf(view: TreeView, path: ReturnType<typeof at>): Uint8Array | undefined {
  try {
    using opened = view.openRead(path);
    const bytes = new Uint8Array(opened.stat().size);
    opened.read(bytes);
    return bytes;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO")) return undefined;
    throw error;
  }
}

/** A few layers of a few members whose names meet often. */
function chain(): fc.Arbitrary<Member[][]> {
  return fc.array(fc.array(anyMember(), { minLength: 1, maxLength: 7 }), { minLength: 1, maxLength: 4 });
}

function anyMember(): fc.Arbitrary<Member> {
  return fc.oneof(
    { weight: 18, arbitrary: anyObject() },
    { weight: 3, arbitrary: anyPath().map((path) => file(path.replace(/[^/]+$/, ".wh.$&"))) },
    { weight: 1, arbitrary: anyPath().map((path) => file(path.replace(/[^/]+$/, ".wh..wh..opq"))) },
  );
}

function anyObject(): fc.Arbitrary<Member> {
  const mtime = fc.record({ sec: fc.integer({ min: 0, max: 9 }), nsec: fc.constant(0) });
  const mode = fc.constantFrom(0o600, 0o755, 0o1777, 0o4711);
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(anyPath(), fc.string({ maxLength: 3 }), mode, mtime).map(makeFile) },
    { weight: 4, arbitrary: fc.tuple(anyPath(), mode, mtime).map(([path, mode, mtime]) => dir(path, { mode, mtime })) },
    { weight: 4, arbitrary: fc.tuple(anyPath(), anyTarget()).map(([path, target]) => symlink(path, target)) },
    { weight: 2, arbitrary: fc.tuple(anyPath(), anyPath()).map(([path, target]) => hardlink(path, target)) },
    { weight: 1, arbitrary: anyPath().map((path) => member("fifo", path)) },
  );
}

function makeFile([path, content, mode, mtime]: [string, string, number, { sec: number; nsec: number }]): Member {
  return file(path, content, { mode, mtime, ...(mode === 0o600 ? { xattrs: { "user.a": content } } : {}) });
}

function anyPath(): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
}

function anyTarget(): fc.Arbitrary<string> {
  return fc.oneof(
    anyPath(),
    anyPath().map((path) => `/${path}`),
    anyPath().map((path) => `../${path}`),
    fc.constant("/"),
  );
}
