// SPDX-License-Identifier: Apache-2.0
/**
 * What a stack of layers looks like, merged. The rules are those of image-spec `layer.md`; where it is silent, the same
 * answer is asked of every driver.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { device, dir, file, hardlink, type LayerMember, opaque, renamed, symlink, whiteout } from "../layer_builder.ts";
import { fromText } from "../../core/bytes.ts";
import type { TreeShape } from "../tree_listing.ts";
import { assertMerged, at, type DriverCase, type DriverContext, stackOf } from "./case.ts";

/** Stacks of layers, the base first, and the tree that they make. */
interface StackCase {
  readonly name: string;
  readonly layers: readonly (readonly LayerMember[])[];
  readonly tree: TreeShape;
}

const OLD_DIR = [dir("d"), file("d/old", "old")];
const CONFIG = [dir("etc"), file("etc/c", "old")];

const STACKS: readonly StackCase[] = [
  { name: "a base layer is its own tree", layers: [[dir("d"), file("d/f", "1")]], tree: { "d/": "", "d/f": "1" } },
  { name: "an empty layer is an empty tree", layers: [[]], tree: {} },
  {
    name: "an empty layer changes nothing",
    layers: [[dir("d"), file("d/f", "1")], []],
    tree: { "d/": "", "d/f": "1" },
  },
  {
    name: "directories merge, files of the upper layer win",
    layers: [[dir("d"), file("d/a", "1"), file("d/b", "1")], [dir("d"), file("d/b", "2"), file("d/c", "2")]],
    tree: { "d/": "", "d/a": "1", "d/b": "2", "d/c": "2" },
  },
  {
    name: "a whiteout hides a file",
    layers: [[file("a", "1"), file("b", "1")], [whiteout("a")]],
    tree: { b: "1" },
  },
  { name: "a whiteout hides a whole directory", layers: [[...OLD_DIR, file("b")], [whiteout("d")]], tree: { b: "" } },
  {
    name: "a whiteout hides a symlink, not its target",
    layers: [[...OLD_DIR, symlink("l", "d")], [whiteout("l")]],
    tree: { "d/": "", "d/old": "old" },
  },
  {
    name: "what was hidden can come back in a later layer",
    layers: [[file("a", "1")], [whiteout("a")], [file("a", "3")]],
    tree: { a: "3" },
  },
  {
    name: "a directory that comes back does not bring its old content",
    layers: [OLD_DIR, [whiteout("d")], [dir("d"), file("d/new", "3")]],
    tree: { "d/": "", "d/new": "3" },
  },
  {
    name: "whiteouts of nothing leave no trace",
    layers: [[dir("d"), symlink("l", "d")], [whiteout("x"), whiteout("d/x"), dir("new"), whiteout("new/x")]],
    tree: { "d/": "", l: "-> d", "new/": "" },
  },
  {
    name: "whiteouts and opaque marks of a base layer have no effect",
    layers: [[whiteout("x"), dir("d"), opaque("d"), file("d/f", "1"), opaque("")]],
    tree: { "d/": "", "d/f": "1" },
  },
  {
    name: "an opaque directory shows nothing from below",
    layers: [OLD_DIR, [dir("d"), opaque("d"), file("d/new", "2")]],
    tree: { "d/": "", "d/new": "2" },
  },
  {
    name: "an opaque directory hides all layers below, and merges with those above",
    layers: [[dir("d"), file("d/1", "1")], [file("d/2", "2")], [opaque("d"), file("d/3", "3")], [file("d/4", "4")]],
    tree: { "d/": "", "d/3": "3", "d/4": "4" },
  },
  {
    name: "the opaque mark may come last, or in between, with whiteouts beside it",
    layers: [
      [dir("a"), file("a/old"), dir("b"), file("b/old"), file("b/older")],
      [file("a/new", "2"), opaque("a"), whiteout("b/old"), dir("b"), opaque("b"), file("b/new", "2")],
    ],
    tree: { "a/": "", "a/new": "2", "b/": "", "b/new": "2" },
  },
  {
    name: "an opaque mark after content in implied directories keeps that content",
    layers: [[dir("d"), dir("d/sub"), file("d/sub/old")], [file("d/sub/new", "2"), opaque("d")]],
    tree: { "d/": "", "d/sub/": "", "d/sub/new": "2" },
  },
  {
    name: "an opaque root shows the layer alone",
    layers: [[...OLD_DIR, file("f")], [opaque(""), dir("d"), file("d/new", "2")]],
    tree: { "d/": "", "d/new": "2" },
  },
  {
    name: "a whiteout and a new directory without a member of its own: only what is new",
    layers: [OLD_DIR, [whiteout("d"), file("d/new", "2")]],
    tree: { "d/": "", "d/new": "2" },
  },
  {
    name: "a whiteout, then the directory: only what is new",
    layers: [OLD_DIR, [whiteout("d"), dir("d"), file("d/new", "2")]],
    tree: { "d/": "", "d/new": "2" },
  },
  {
    name: "the directory, then a whiteout of it: only what is new",
    layers: [OLD_DIR, [dir("d"), file("d/new", "2"), whiteout("d")]],
    tree: { "d/": "", "d/new": "2" },
  },
  {
    name: "a file, then a whiteout of it: the new file",
    layers: [CONFIG, [file("etc/c", "new"), whiteout("etc/c")]],
    tree: { "etc/": "", "etc/c": "new" },
  },
  {
    name: "a whiteout, then the file: the new file",
    layers: [CONFIG, [whiteout("etc/c"), file("etc/c", "new")]],
    tree: { "etc/": "", "etc/c": "new" },
  },
  {
    name: "a symlink below as parent is followed",
    layers: [[dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib")], [file("lib/new", "2")]],
    tree: { lib: "-> usr/lib", "usr/": "", "usr/lib/": "", "usr/lib/new": "2" },
  },
  {
    name: "a whiteout below a symlinked parent hides the target's file",
    layers: [[dir("usr"), file("usr/a", "1"), file("usr/b", "1"), symlink("u", "/usr")], [whiteout("u/a")]],
    tree: { u: "-> /usr", "usr/": "", "usr/b": "1" },
  },
  {
    name: "a directory takes a symlink's place, and is not followed",
    layers: [[...OLD_DIR, symlink("l", "d")], [dir("l"), file("l/new", "2")]],
    tree: { "d/": "", "d/old": "old", "l/": "", "l/new": "2" },
  },
  {
    name: "a symlink takes a directory's place",
    layers: [[...OLD_DIR, dir("e")], [symlink("d", "e")]],
    tree: { d: "-> e", "e/": "" },
  },
  { name: "a file takes a directory's place", layers: [OLD_DIR, [file("d", "2")]], tree: { d: "2" } },
  {
    name: "a directory takes a file's place",
    layers: [[file("p", "1")], [dir("p"), file("p/q", "2")]],
    tree: { "p/": "", "p/q": "2" },
  },
  {
    name: "an implied directory takes a file's place",
    layers: [[file("p", "1")], [file("p/q", "2")]],
    tree: { "p/": "", "p/q": "2" },
  },
  {
    name: "a directory after a file after a directory is a new one",
    layers: [OLD_DIR, [file("d", "2")], [dir("d"), file("d/new", "3")]],
    tree: { "d/": "", "d/new": "3" },
  },
  {
    name: "names that climb or begin at the root stay inside",
    layers: [[
      dir("etc"),
      renamed(file("x", "1"), fromText("../esc")),
      renamed(file("x", "2"), fromText("etc/../etc/q")),
      renamed(file("x", "3"), fromText("/etc/r")),
    ]],
    tree: { esc: "1", "etc/": "", "etc/q": "2", "etc/r": "3" },
  },
  {
    name: "names that only look like whiteouts are names",
    layers: [[file(".whale", "1"), file("a.wh.b", "1")], [file(".wha", "2")]],
    tree: { ".wha": "2", ".whale": "1", "a.wh.b": "1" },
  },
];

/** A stack that is refused, by every driver alike. */
const REFUSED: readonly { name: string; layers: readonly (readonly LayerMember[])[] }[] = [
  {
    name: "a device that overlayfs would take for a whiteout is refused",
    layers: [[file("a", "1")], [device("a", { type: "char", devMajor: 0, devMinor: 0 })]],
  },
  {
    name: "a hard link to what no layer has is refused",
    layers: [[file("a", "1")], [hardlink("h", "missing")]],
  },
  ...[".wh.", ".wh..", ".wh..."].map((name) => ({
    name: `a whiteout named "${name}" is refused`,
    layers: [[file("a", "1")], [renamed(file("x"), fromText(name))]],
  })),
];

/** Cases about merged trees. */
export const stackingCases: readonly DriverCase[] = [
  ...STACKS.map(({ name, layers, tree }): DriverCase => ({
    name,
    run: async (context) => assertMerged(context, await stackOf(context, layers), tree),
  })),
  ...REFUSED.map(({ name, layers }): DriverCase => ({
    name,
    async run(context) {
      await assert.rejects(async () => await stackOf(context, layers), (error) => hasCode(error, "INVALID_ARCHIVE"));
    },
  })),
  { name: "a directory implied by a path keeps what the layers below say of it", run: impliedDirectory },
];

async function impliedDirectory(context: DriverContext): Promise<void> {
  const mtime = { sec: 1_000_000_000, nsec: 123_456_789 };
  const stack = await stackOf(context, [[dir("d", { mode: 0o1750, mtime }), file("d/a", "1")], [file("d/b", "2")]]);
  {
    await using view = await context.driver.view(stack);
    const stat = view.stat(at("d"));
    assert.deepEqual([stat?.mode, stat?.mtime], [0o1750, mtime]);
  }
  await assertMerged(context, stack, { "d/": "", "d/a": "1", "d/b": "2" });
}
