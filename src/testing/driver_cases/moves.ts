// SPDX-License-Identifier: Apache-2.0
/**
 * Renaming and linking in a writable layer what layers below brought: package managers do little else.
 *
 * @module
 */
import assert from "node:assert/strict";
import { joinPath, type LayerPath } from "../../core/layer_path.ts";
import { hasErrno } from "../../host/errno.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import { dir, file, hardlink, type LayerMember, symlink } from "../layer_builder.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  assertMerged,
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

const BASE: readonly LayerMember[] = [
  dir("d"),
  dir("d/sub"),
  file("d/sub/a", "1"),
  symlink("d/l", "sub"),
  file("f", "below"),
  hardlink("g", "f"),
];

/** What a program does, and what shows afterwards. */
interface Move {
  readonly name: string;
  edit(tree: RootedDir): void;
  readonly tree: TreeShape;
  readonly changes: readonly string[];
}

const MOVES: readonly Move[] = [
  {
    name: "a directory of the layer below is renamed, or copied where the kernel leaves that to the program",
    edit: (tree) => moveDir(tree, at("d"), at("moved")),
    tree: { "moved/": "", "moved/sub/": "", "moved/sub/a": "1", "moved/l": "-> sub", f: "below", g: "below" },
    changes: ["C /", "D /d", "A /moved", "A /moved/l", "A /moved/sub", "A /moved/sub/a"],
  },
  {
    name: "a directory is moved away and a new one takes its name",
    edit(tree) {
      moveDir(tree, at("d"), at("old"));
      tree.mkdir(at("d"), 0o755);
      put(tree, "d/b", "2");
    },
    tree: {
      "d/": "",
      "d/b": "2",
      "old/": "",
      "old/sub/": "",
      "old/sub/a": "1",
      "old/l": "-> sub",
      f: "below",
      g: "below",
    },
    changes: [
      "C /",
      "C /d",
      "A /d/b",
      "D /d/l",
      "D /d/sub",
      "A /old",
      "A /old/l",
      "A /old/sub",
      "A /old/sub/a",
    ],
  },
  {
    name: "a new file takes the place of one below in one step",
    edit(tree) {
      put(tree, "d/sub/.a.new", "2");
      tree.rename(at("d/sub/.a.new"), at("d/sub/a"));
    },
    tree: { "d/": "", "d/sub/": "", "d/sub/a": "2", "d/l": "-> sub", f: "below", g: "below" },
    changes: ["C /d", "C /d/sub", "C /d/sub/a"],
  },
  {
    name: "a symlink of the layer below is moved over a file of it",
    edit: (tree) => tree.rename(at("d/l"), at("d/sub/a")),
    tree: { "d/": "", "d/sub/": "", "d/sub/a": "-> sub", f: "below", g: "below" },
    changes: ["C /d", "D /d/l", "C /d/sub", "C /d/sub/a"],
  },
  {
    name: "a file of the layer below gets a further name, and its old one is removed",
    edit(tree) {
      tree.link(at("d/sub/a"), at("d/linked"));
      tree.unlink(at("d/sub/a"));
    },
    tree: { "d/": "", "d/sub/": "", "d/linked": "1", "d/l": "-> sub", f: "below", g: "below" },
    changes: ["C /d", "A /d/linked", "C /d/sub", "D /d/sub/a"],
  },
];

/** Cases about names that change. */
export const moveCases: readonly DriverCase[] = [
  ...MOVES.map((move): DriverCase => ({ name: `moves: ${move.name}`, run: (context) => moved(context, move) })),
  { name: "moves: one of two names of a file below is replaced, and the other keeps it", run: replacesOneName },
];

async function moved(context: DriverContext, { edit, tree, changes }: Move): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [BASE]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, edit);
    await driver.put(id);
    assert.deepEqual(await inView(context, stackIn(driver, id), shapeOf), tree);
    assert.deepEqual(changeLines(await driver.changes(id, topId(stack))), changes);
    await withWritable(context, stackIn(driver, id), async (above) => {
      await driver.put(above.id);
      assert.deepEqual(await inView(context, stackIn(driver, above.id), shapeOf), tree, "the layer above differs");
    });
  });
}

async function replacesOneName(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [BASE, [file("f", "above")]]);
  await assertMerged(context, stack, {
    "d/": "",
    "d/sub/": "",
    "d/sub/a": "1",
    "d/l": "-> sub",
    f: "above",
    g: "below",
  });
}

/** As mv(1): by renaming, and where that is refused, by copying. */
function moveDir(tree: RootedDir, from: LayerPath, to: LayerPath): void {
  try {
    return tree.rename(from, to);
  } catch (error) {
    if (!hasErrno(error, "EXDEV")) throw error;
  }
  tree.mkdir(to, tree.stat(from)?.mode ?? 0o755);
  for (const { name } of tree.list(from)) {
    const [old, moved] = [joinPath(from, name), joinPath(to, name)];
    if (tree.stat(old)?.type === "dir") moveDir(tree, old, moved);
    else tree.rename(old, moved);
  }
  tree.rmdir(from);
}
