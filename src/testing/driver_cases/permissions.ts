// SPDX-License-Identifier: Apache-2.0
/**
 * Modes and owners of directories, the root's above all: what containers with other users than root depend on.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { fromText } from "../../core/bytes.ts";
import { randomCacheId } from "../../core/ids.ts";
import { ROOT } from "../../core/layer_path.ts";
import type { FileStat } from "../../core/file_stat.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { dir, file, type LayerMember, type MemberMetadata, renamed, whiteout } from "../layer_builder.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  keepsOwners,
  put,
  stackOf,
  topId,
  withSnapshots,
  withWritable,
} from "./case.ts";

const ROOT_MODES = [0o755, 0o700, 0o701, 0o711, 0o555, 0o1777, 0o2775];
const MTIME = { sec: 1_111_111_111, nsec: 5 };

/** Cases about directories' modes and owners. */
export const permissionCases: readonly DriverCase[] = [
  { name: "a writable layer without a parent is an empty directory for all to enter", run: emptyLayer },
  ...ROOT_MODES.map((mode): DriverCase => ({
    name: `a root directory of mode 0${mode.toString(8)} stays so, mounted and in layers above`,
    run: (context) => rootMode(context, mode),
  })),
  { name: "a root directory's owner is kept, also by layers above", needs: keepsOwners, run: rootOwner },
  { name: "a root directory's mode changed in a writable layer reaches the next", run: rootChanged },
  { name: "a base layer's odd modes and owners are kept", needs: keepsOwners, run: oddModes },
  { name: "directories keep mode, owner and time when layers remove what is in them", run: parentsOfWhiteouts },
  { name: "a setgid directory gives its group to nothing that is unpacked", needs: keepsOwners, run: setgidParent },
  { name: "directories that nobody may write take what later layers bring", run: readOnlyParents },
  { name: "a process's umask changes nothing", run: umask },
  { name: "a directory's mode is the last layer's", run: lastMode },
];

async function emptyLayer(context: DriverContext): Promise<void> {
  await withWritable(context, [], ({ id, path }) => {
    assert.equal(context.driver.exists(id), true);
    inTree(path, (tree) => {
      assert.equal(tree.stat(ROOT)?.mode, 0o755);
      assert.equal(tree.stat(ROOT)?.uid, process.geteuid?.() ?? 0);
      assert.deepEqual(tree.list(ROOT), []);
    });
  });
}

async function rootMode(context: DriverContext, mode: number): Promise<void> {
  const stack = await stackOf(context, [[rootMember({ mode, mtime: MTIME }), file("a", "1")], [file("b", "2")]]);
  await assertEverywhere(context, stack, { mode, mtime: MTIME });
}

async function rootOwner(context: DriverContext): Promise<void> {
  const owner = { uid: 1234, gid: 5678, mode: 0o1770 };
  const stack = await stackOf(context, [[rootMember(owner)], [file("b", "2")]]);
  await assertEverywhere(context, stack, owner);
}

/** The root of a stack: without a mount, mounted in both ways, and of a writable layer on a writable layer. */
async function assertEverywhere(
  context: DriverContext,
  stack: readonly LayerLocation[],
  expected: Partial<FileStat>,
): Promise<void> {
  const { driver } = context;
  {
    await using view = await driver.view(stack);
    assertStat(view, expected, "the view");
  }
  const mounted = await driver.get(topId(stack), { access: "read-only" });
  inTree(mounted, (tree) => assertStat(tree, expected, "the read-only mount"));
  await driver.put(topId(stack));
  const looks = (tree: Pick<TreeView, "stat">) => assertStat(tree, expected, "a writable layer");
  await withSnapshots(context, { on: stack, steps: [looks, looks] }, () => {});
}

async function rootChanged(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("a", "1")]]);
  const steps = [
    (tree: { setMode(path: typeof ROOT, mode: number): void }) => tree.setMode(ROOT, 0o1777),
    (tree: Pick<TreeView, "stat">) => assert.equal(tree.stat(ROOT)?.mode, 0o1777),
  ];
  await withSnapshots(context, { on: stack, steps }, async ([first]) => {
    if (first !== undefined) assert.deepEqual(changeLines(await context.driver.changes(first, topId(stack))), ["C /"]);
  });
}

async function oddModes(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[
    dir("a subdir", { mode: 0o1705, uid: 1, gid: 2 }),
    file("a file", "12345678", { mode: 0o4222, uid: 1000, gid: 1000 }),
  ]]);
  await using view = await context.driver.view(stack);
  assertStat(view, { mode: 0o1705, uid: 1, gid: 2 }, "the directory", "a subdir");
  assertStat(view, { mode: 0o4222, uid: 1000, gid: 1000, size: 8 }, "the file", "a file");
}

async function parentsOfWhiteouts(context: DriverContext): Promise<void> {
  const owner = keepsOwners(context.driver.capabilities) ? { uid: 33, gid: 34 } : {};
  const expected = { mode: 0o1730, mtime: MTIME, ...owner };
  const names = Array.from({ length: 10 }, (_, index) => `d/e/${index}`);
  const base = [dir("d", expected), dir("d/e", expected), ...names.map((name) => file(name))];
  const stack = await stackOf(context, [base, ...names.map((name) => [whiteout(name)])]);
  await using view = await context.driver.view(stack);
  for (const name of ["d", "d/e"]) assertStat(view, expected, "a parent of whiteouts", name);
  assert.deepEqual(view.list(at("d/e")), []);
}

async function setgidParent(context: DriverContext): Promise<void> {
  const parent = dir("d", { mode: 0o2777, gid: 1234 });
  const stack = await stackOf(context, [
    [parent, file("d/one", "1", { gid: 7 }), dir("d/sub", { gid: 7 })],
    [file("d/two", "2", { gid: 8 }), dir("d/other", { gid: 8 })],
  ]);
  await using view = await context.driver.view(stack);
  for (
    const [name, gid, mode] of [["one", 7, 0o644], ["sub", 7, 0o755], ["two", 8, 0o644], ["other", 8, 0o755]] as const
  ) {
    assertStat(view, { gid, mode }, "an object in a setgid directory", `d/${name}`);
  }
}

async function readOnlyParents(context: DriverContext): Promise<void> {
  const closed = dir("d", { mode: 0o500 });
  const stack = await stackOf(context, [[closed, file("d/a", "1", { mode: 0 })], [file("d/b", "2")], [
    whiteout("d/a"),
  ]]);
  await using view = await context.driver.view(stack);
  assert.deepEqual(view.list(at("d")).map(({ name }) => name), ["b"]);
  assertStat(view, { mode: 0o500 }, "the directory", "d");
}

async function umask(context: DriverContext): Promise<void> {
  const previous = process.umask(0o077);
  try {
    const stack = await stackOf(context, [[dir("d", { mode: 0o777 }), file("d/f", "1", { mode: 0o666 })]]);
    await using view = await context.driver.view(stack);
    assertStat(view, { mode: 0o777 }, "the directory", "d");
    assertStat(view, { mode: 0o666 }, "the file", "d/f");
    const id = randomCacheId();
    await context.driver.createReadWrite(id, undefined);
    inTree(await context.driver.get(id), (tree) => assertStat(tree, { mode: 0o755 }, "the writable layer's root"));
    await context.driver.put(id);
    await context.driver.remove(id);
  } finally {
    process.umask(previous);
  }
}

async function lastMode(context: DriverContext): Promise<void> {
  const layers = [0o700, 0o1777, 0o711].map((mode) => [dir("d", { mode }), file(`d/${mode}`)]);
  const stack = await stackOf(context, layers);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      assertStat(tree, { mode: 0o711 }, "the directory", "d");
      put(tree, "d/new", "1");
      assertStat(tree, { mode: 0o711 }, "the directory that was written to", "d");
    });
    await context.driver.put(id);
    await using view = await context.driver.view([context.driver.locate(id), ...stack]);
    assertStat(view, { mode: 0o711 }, "the directory", "d");
    assert.equal(view.list(at("d")).length, 4);
  });
}

function rootMember(metadata: MemberMetadata): LayerMember {
  return renamed(dir("root", metadata), fromText("./"));
}

function assertStat(tree: Pick<TreeView, "stat">, expected: Partial<FileStat>, what: string, name?: string): void {
  const stat = tree.stat(name === undefined ? ROOT : at(name));
  const seen = Object.fromEntries(Object.entries(stat ?? {}).filter(([key]) => key in expected));
  assert.deepEqual(seen, expected, what);
}
