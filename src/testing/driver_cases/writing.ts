// SPDX-License-Identifier: Apache-2.0
/**
 * Writable layers: what is done in them, what they report as changed, and that it reaches nothing below.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import { randomCacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { dir, file, type LayerMember, symlink } from "../layer_builder.ts";
import { listingOf } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  listingAt,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const BASE: readonly LayerMember[] = [
  dir("d"),
  file("d/a", "1"),
  file("d/b", "1"),
  dir("e"),
  file("f", "1"),
  symlink("l", "f"),
];

/** Something done in a writable layer, and what it then reports. */
interface EditCase {
  readonly name: string;
  edit(tree: RootedDir): void;
  readonly changes: readonly string[];
}

const EDITS: readonly EditCase[] = [
  { name: "nothing is changed at first", edit() {}, changes: [] },
  { name: "a new file", edit: (tree) => put(tree, "d/new", "2"), changes: ["C /d", "A /d/new"] },
  {
    name: "a new directory with content",
    edit(tree) {
      tree.mkdir(at("n"), 0o755);
      put(tree, "n/x", "2");
    },
    changes: ["C /", "A /n", "A /n/x"],
  },
  {
    name: "a written file",
    edit(tree) {
      put(tree, "f", "other");
    },
    changes: ["C /", "C /f"],
  },
  {
    name: "a file written with the same size and time",
    edit(tree) {
      const before = tree.stat(at("f"));
      const root = tree.stat(ROOT);
      put(tree, "f", "2");
      if (before !== undefined) tree.setTimes(at("f"), before);
      if (root !== undefined) tree.setTimes(ROOT, root);
    },
    changes: ["C /f"],
  },
  { name: "a removed file", edit: (tree) => tree.unlink(at("d/a")), changes: ["C /d", "D /d/a"] },
  { name: "a removed directory", edit: (tree) => tree.removeTree(at("d")), changes: ["C /", "D /d"] },
  {
    name: "a renamed file",
    edit: (tree) => tree.rename(at("d/a"), at("d/z")),
    changes: ["C /d", "D /d/a", "A /d/z"],
  },
  { name: "a changed mode", edit: (tree) => tree.setMode(at("d/a"), 0o600), changes: ["C /d", "C /d/a"] },
  { name: "a changed directory mode", edit: (tree) => tree.setMode(at("d"), 0o700), changes: ["C /d"] },
  {
    name: "a changed attribute",
    edit: (tree) => tree.setXattr(at("d/a"), fromText("user.x"), new Uint8Array([1])),
    changes: ["C /d", "C /d/a"],
  },
  {
    name: "a directory removed and made again",
    edit(tree) {
      tree.removeTree(at("d"));
      tree.mkdir(at("d"), 0o755);
      put(tree, "d/b", "2");
    },
    changes: ["C /", "C /d", "D /d/a", "C /d/b"],
  },
  {
    name: "a directory that became a file",
    edit(tree) {
      tree.removeTree(at("d"));
      put(tree, "d", "2");
    },
    changes: ["C /", "C /d"],
  },
  {
    name: "a directory that became a file and a directory again",
    edit(tree) {
      tree.removeTree(at("d"));
      put(tree, "d", "2");
      tree.unlink(at("d"));
      tree.mkdir(at("d"), 0o755);
    },
    changes: ["C /", "C /d", "D /d/a", "D /d/b"],
  },
  {
    name: "a file that became a directory",
    edit(tree) {
      tree.unlink(at("f"));
      tree.mkdir(at("f"), 0o755);
      put(tree, "f/x", "2");
    },
    changes: ["C /", "C /f", "A /f/x"],
  },
  {
    name: "a symlink with another target",
    edit(tree) {
      tree.unlink(at("l"));
      tree.symlink(at("l"), fromText("e"));
    },
    changes: ["C /", "C /l"],
  },
  {
    name: "a file that came and went",
    edit(tree) {
      put(tree, "d/x", "2");
      tree.unlink(at("d/x"));
    },
    changes: ["C /d"],
  },
];

/** Cases about writable layers. */
export const writingCases: readonly DriverCase[] = [
  ...EDITS.map(({ name, edit, changes }): DriverCase => ({
    name: `changes of a writable layer: ${name}`,
    run: (context) => edited(context, { edit, changes }),
  })),
  { name: "a writable layer without a parent holds additions only", run: withoutParent },
  { name: "writing reaches no layer below and no sibling", run: reachesNothing },
  { name: "a writable layer on a writable layer reports its own changes only", run: onWritable },
  { name: "changes can be asked against a layer further below", run: againstAncestor },
  { name: "a writable layer's root directory looks like the one below", run: rootBelow },
];

/** Asked while mounted, after unmounting, and of another instance: always the same answer. */
async function edited(context: DriverContext, { edit, changes }: Omit<EditCase, "name">): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    {
      using tree = RootedDir.open(path);
      edit(tree);
    }
    assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), changes);
    await driver.put(id);
    assert.deepEqual(changeLines(await context.reopen().changes(id, topId(stack))), changes);
  });
}

async function withoutParent(context: DriverContext): Promise<void> {
  await withWritable(context, [], async ({ id, path }) => {
    using tree = RootedDir.open(path);
    tree.mkdir(at("d"), 0o755);
    put(tree, "d/f", "1");
    const changes = changeLines(await context.driver.changes(id, undefined));
    assert.deepEqual(changes.filter((line) => line !== "C /"), ["A /d", "A /d/f"]);
  });
}

async function reachesNothing(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE, [file("d/c", "2")]]);
  const listings = () => Promise.all(stack.map((_, i) => viewListing(context, stack.slice(i))));
  const before = await listings();
  await withWritable(context, stack, async (first) => {
    await withWritable(context, stack, async (second) => {
      const untouched = listingAt(second.path);
      using tree = RootedDir.open(first.path);
      for (const { name } of tree.list(ROOT)) if (name !== at("d")) tree.removeTree(at(name));
      for (const name of ["d/a", "d/c", "new"]) put(tree, name, "written");
      tree.setMode(at("d/b"), 0);
      tree.setMode(ROOT, 0o700);
      assert.deepEqual(await listings(), before);
      assert.deepEqual(listingAt(second.path), untouched);
      assert.deepEqual(await driver.changes(second.id, topId(stack)), []);
    });
  });
  assert.deepEqual(await listings(), before);
}

async function onWritable(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async (init) => {
    {
      using tree = RootedDir.open(init.path);
      put(tree, "etc", "init");
    }
    await driver.put(init.id);
    await withWritable(context, [driver.locate(init.id), ...stack], async ({ id, path }) => {
      using tree = RootedDir.open(path);
      assert.equal(tree.stat(at("etc"))?.size, 4);
      assert.deepEqual(changeLines(await driver.changes(id, init.id)), []);
      put(tree, "d/new", "1");
      assert.deepEqual(changeLines(await driver.changes(id, init.id)), ["C /d", "A /d/new"]);
      assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), ["C /", "C /d", "A /d/new", "A /etc"]);
    });
  });
}

async function againstAncestor(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE, [file("d/c", "2")], [file("d/a", "3")]]);
  const base = stack.at(-1)?.cacheId;
  assert.deepEqual(changeLines(await driver.changes(topId(stack), base)), ["C /d", "C /d/a", "A /d/c"]);
  await withWritable(context, stack, async ({ id, path }) => {
    using tree = RootedDir.open(path);
    tree.unlink(at("f"));
    assert.deepEqual(changeLines(await driver.changes(id, base)), ["C /", "C /d", "C /d/a", "A /d/c", "D /f"]);
  });
}

async function rootBelow(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  const id = randomCacheId();
  await driver.createReadWrite(id, topId(stack));
  await using view = await driver.view([driver.locate(id), ...stack]);
  assert.deepEqual(listingOf(view), await viewListing(context, stack));
  await driver.remove(id);
}

async function viewListing(context: DriverContext, stack: readonly LayerLocation[]): Promise<readonly string[]> {
  await using view = await context.driver.view(stack);
  return listingOf(view);
}
