// SPDX-License-Identifier: Apache-2.0
/**
 * Times of objects, of symlinks above all: set in writable layers, carried over by copies, and left alone by reading.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromText } from "../../core/bytes.ts";
import type { Timespec } from "../../core/file_stat.ts";
import { ROOT } from "../../core/layer_path.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { dir, fifo, file, hardlink, type LayerMember, symlink } from "../layer_builder.ts";
import { listingOf } from "../tree_listing.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  listingAt,
  put,
  stackOf,
  topId,
  withSnapshots,
  withWritable,
} from "./case.ts";

/** Times that other tools are known to lose. */
const TIMES: Readonly<Record<string, Timespec>> = {
  "the beginning of 1970": { sec: 0, nsec: 0 },
  "a nanosecond before 1970": { sec: -1, nsec: 999_999_999 },
  "1950": { sec: -631_152_000, nsec: 1 },
  "the last second of 32 bits": { sec: 2_147_483_647, nsec: 999_999_999 },
  "2100": { sec: 4_102_444_800, nsec: 987_654_321 },
};
const FIRST: Timespec = { sec: 1_234_567_890, nsec: 123_456_789 };
const SECOND: Timespec = { sec: 1_300_000_000, nsec: 1 };

/** Cases about times. */
export const timeCases: readonly DriverCase[] = [
  ...Object.entries(TIMES).map(([name, mtime]): DriverCase => ({
    name: `times of every kind of object: ${name}`,
    run: (context) => everyKind(context, mtime),
  })),
  { name: "times of a symlink can be set without touching its target", run: symlinkTimes },
  { name: "times set in a writable layer reach the layer on it, to the nanosecond", run: handedOn },
  { name: "a file whose time alone was changed is told as changed", run: timeChange },
  { name: "reading a tree through its mounts changes no time", run: readingChangesNothing },
  { name: "a directory keeps its time when its content came after it", run: directoryFirst },
];

async function everyKind(context: DriverContext, mtime: Timespec): Promise<void> {
  const members: readonly LayerMember[] = [
    dir("d", { mtime }),
    file("d/f", "1", { mtime }),
    symlink("d/l", "f", { mtime }),
    fifo("d/p", { mtime }),
    file("a", "1", { mtime }),
    hardlink("b", "a"),
  ];
  const linked = members.map((member) => (member.type === "hardlink" ? { ...member, mtime } : member));
  const stack = await stackOf(context, [linked, [file("other", "2")]]);
  await withWritable(context, stack, ({ path }) => {
    inTree(path, (tree) => {
      for (const name of ["d", "d/f", "d/l", "d/p", "a", "b"]) {
        assert.deepEqual(tree.stat(at(name))?.mtime, mtime, name);
      }
    });
  });
}

async function symlinkTimes(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("target", "1", { mtime: FIRST }), symlink("l", "target")]]);
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      tree.setTimes(at("l"), { atime: SECOND, mtime: SECOND });
      assert.deepEqual(tree.stat(at("l"))?.mtime, SECOND);
      assert.deepEqual(tree.stat(at("target"))?.mtime, FIRST);
    });
    await context.driver.put(id);
    assert.deepEqual(changeLines(await context.driver.changes(id, topId(stack))), ["C /l"]);
  });
}

async function handedOn(context: DriverContext): Promise<void> {
  const names = ["d", "d/f", "l"];
  const steps = [
    (tree: RootedDir) => {
      tree.mkdir(at("d"), 0o755);
      put(tree, "d/f", "1");
      tree.symlink(at("l"), fromText("d/f"));
      for (const name of [...names].reverse()) tree.setTimes(at(name), { atime: FIRST, mtime: FIRST });
      tree.setTimes(ROOT, { atime: SECOND, mtime: SECOND });
    },
    (tree: RootedDir) => {
      for (const name of names) assert.deepEqual(tree.stat(at(name))?.mtime, FIRST, name);
      assert.deepEqual(tree.stat(ROOT)?.mtime, SECOND);
    },
  ];
  await withSnapshots(context, { steps }, () => {});
}

async function timeChange(context: DriverContext): Promise<void> {
  const stack = await stackOf(context, [[file("f", "1", { mtime: FIRST }), file("g", "1", { mtime: FIRST })]]);
  await withWritable(context, stack, async ({ id, path }) => {
    const later = { ...FIRST, nsec: FIRST.nsec + 1 };
    inTree(path, (tree) => tree.setTimes(at("f"), { atime: later, mtime: later }));
    assert.deepEqual(changeLines(await context.driver.changes(id, topId(stack))), ["C /f"]);
  });
}

async function readingChangesNothing(context: DriverContext): Promise<void> {
  const { driver } = context;
  const stack = await stackOf(context, [[dir("d", { mtime: FIRST }), file("d/f", "1", { mtime: FIRST })], []]);
  const before = await inView(context, stack, listingOf);
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(listingAt(await driver.get(topId(stack), { access: "read-only" })), before);
    await driver.put(topId(stack));
    await withWritable(context, stack, ({ path }) => assert.deepEqual(listingAt(path), before));
  }
  assert.deepEqual(await inView(context, stack, listingOf), before);
}

async function directoryFirst(context: DriverContext): Promise<void> {
  const below = [dir("d", { mtime: FIRST }), dir("d/e", { mtime: FIRST }), file("d/e/f", "1")];
  const above = [dir("d", { mtime: SECOND }), file("d/g", "2"), file("d/e/h", "3")];
  const stack = await stackOf(context, [below, above]);
  await using view = await context.driver.view(stack);
  assert.deepEqual([view.stat(at("d"))?.mtime, view.stat(at("d/e"))?.mtime], [SECOND, FIRST]);
}
