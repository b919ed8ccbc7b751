// SPDX-License-Identifier: Apache-2.0
/**
 * Objects of every kind in the place of every other kind, by layers and in writable layers.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { dir, fifo, file, hardlink, type LayerMember, symlink, whiteout } from "../layer_builder.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  assertMerged,
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  put,
  stackOf,
  topId,
  withWritable,
} from "./case.ts";

/** One kind of object: how it comes in a layer, how it is made, and how it looks. */
interface Kind {
  readonly name: string;
  members(path: string): readonly LayerMember[];
  make(tree: RootedDir, path: string): void;
  shape(path: string): TreeShape;
}

const KINDS: readonly Kind[] = [
  {
    name: "file",
    members: (path) => [file(path, "content")],
    make: (tree, path) => put(tree, path, "content"),
    shape: (path) => ({ [path]: "content" }),
  },
  {
    name: "empty",
    members: (path) => [dir(path)],
    make: (tree, path) => tree.mkdir(at(path), 0o755),
    shape: (path) => ({ [`${path}/`]: "" }),
  },
  {
    name: "full",
    members: (path) => [dir(path), dir(`${path}/d`), file(`${path}/d/f`, "inside")],
    make(tree, path) {
      for (const name of [path, `${path}/d`]) tree.mkdir(at(name), 0o755);
      put(tree, `${path}/d/f`, "inside");
    },
    shape: (path) => ({ [`${path}/`]: "", [`${path}/d/`]: "", [`${path}/d/f`]: "inside" }),
  },
  {
    name: "symlink",
    members: (path) => [symlink(path, "target")],
    make: (tree, path) => tree.symlink(at(path), fromText("target")),
    shape: (path) => ({ [path]: "-> target" }),
  },
  {
    name: "link",
    members: (path) => [file(`${path}.first`, "linked"), hardlink(path, `${path}.first`)],
    make(tree, path) {
      put(tree, `${path}.first`, "linked");
      tree.link(at(`${path}.first`), at(path));
    },
    shape: (path) => ({ [path]: "linked", [`${path}.first`]: "linked" }),
  },
  {
    name: "pipe",
    members: (path) => [fifo(path)],
    make: (tree, path) => tree.mknod(at(path), { type: "fifo", mode: 0o644 }),
    shape: (path) => ({ [path]: "fifo" }),
  },
  { name: "nothing", members: () => [], make() {}, shape: () => ({}) },
];

/** One kind in the place of another, under a name of its own. */
interface Pair {
  readonly path: string;
  readonly below: Kind;
  readonly above: Kind;
}

/** All pairs of different kinds; directories merge, so they are no replacement of each other. */
const PAIRS: readonly Pair[] = KINDS.flatMap((below) =>
  KINDS.filter((above) => above !== below && !(isDir(above) && isDir(below)))
    .map((above) => ({ path: `t/${below.name}-${above.name}`, below, above }))
);

/** Cases about kinds of objects. */
export const kindCases: readonly DriverCase[] = [
  { name: "every kind of object takes the place of every other in a layer", run: replacedOnce },
  { name: "every kind of object comes back in a third layer, and nothing of the second shows", run: replacedTwice },
  { name: "every kind of object takes the place of every other in a writable layer", run: replacedByHand },
];

async function replacedOnce(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [layerOf("below"), replacing("below", "above")]);
  await assertMerged(context, stack, shapeOfAll("above"));
}

async function replacedTwice(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [layerOf("below"), replacing("below", "above"), replacing("above", "below")]);
  await assertMerged(context, stack, shapeOfAll("below"));
}

async function replacedByHand(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [layerOf("below")]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      for (const pair of PAIRS) {
        for (const name of topNames(pair, "below")) tree.removeTree(at(name));
        pair.above.make(tree, pair.path);
      }
    });
    await driver.put(id);
    await using view = await driver.view([driver.locate(id), ...stack]);
    assert.deepEqual(shapeOf(view), sorted(shapeOfAll("above")));
    assert.deepEqual(changeLines(await driver.changes(id, topId(stack))).sort(), expectedChanges());
  });
}

function layerOf(side: "below" | "above"): readonly LayerMember[] {
  return [dir("t"), ...PAIRS.flatMap((pair) => pair[side].members(pair.path))];
}

/** A layer that holds the objects of one side in the place of the other's. */
function replacing(from: "below" | "above", to: "below" | "above"): readonly LayerMember[] {
  return [
    dir("t"),
    ...PAIRS.flatMap((pair) => {
      const names = topNames(pair, to);
      const gone = topNames(pair, from).filter((name) => !names.includes(name));
      return [...gone.map(whiteout), ...pair[to].members(pair.path)];
    }),
  ];
}

function shapeOfAll(side: "below" | "above"): TreeShape {
  return Object.assign({ "t/": "" }, ...PAIRS.map((pair) => pair[side].shape(pair.path)));
}

/** The paths directly in `t` that one side of a pair has. */
function topNames({ path, ...pair }: Pair, side: "below" | "above"): readonly string[] {
  return pathsOf(pair[side], path).filter((name) => name.split("/").length === 2);
}

function pathsOf(kind: Kind, path: string): readonly string[] {
  return Object.keys(kind.shape(path)).map((name) => name.replace(/\/$/, ""));
}

/** What is there on both sides is changed; of a directory that came the content is told, of one that went it is not. */
function expectedChanges(): readonly string[] {
  const lines = PAIRS.flatMap((pair) => {
    const before = topNames(pair, "below");
    const after = pathsOf(pair.above, pair.path);
    const gone = before.filter((name) => !after.includes(name)).map((name) => `D /${name}`);
    return [...gone, ...after.map((name) => `${before.includes(name) ? "C" : "A"} /${name}`)];
  });
  return ["C /t", ...lines].sort();
}

/** Trees are walked name by name: a directory's content comes right after it. */
function comparable(path: string): string {
  return path.replaceAll("/", "\0");
}

function sorted(shape: TreeShape): TreeShape {
  return Object.fromEntries(Object.entries(shape).sort(([a], [b]) => (comparable(a) < comparable(b) ? -1 : 1)));
}

function isDir({ name }: Kind): boolean {
  return name === "empty" || name === "full";
}
