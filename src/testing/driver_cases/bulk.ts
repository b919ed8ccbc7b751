// SPDX-License-Identifier: Apache-2.0
/**
 * Much at once: files larger than 4 GiB, which are mostly holes here, and ten thousand files in one directory.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { FileStat } from "../../core/file_stat.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import { dir, file, whiteout } from "../layer_builder.ts";
import {
  at,
  changeLines,
  type DriverCase,
  type DriverContext,
  inTree,
  openWritable,
  put,
  stackOf,
  topId,
  withSnapshots,
  withWritable,
} from "./case.ts";

const GIB = 1024 ** 3;
/** Past what 32 bits count, and no multiple of a block. */
const LARGE_SIZE = 5 * GIB + 1;
/** What a few pieces of data may take of a file that is a hole otherwise. 512-byte blocks. */
const SPARSE_BLOCKS_MAX = (16 * 1024 * 1024) / 512;
const FILES = 10_000;

/** Cases about much at once. */
export const bulkCases: readonly DriverCase[] = [
  {
    name: "a sparse file of 5 GiB is kept as it is in snapshots, its holes too",
    needs: (c) => c.holes !== "filled",
    run: largeFile,
  },
  { name: `${FILES} files in one directory are listed, hidden and changed`, cost: "heavy", run: manyFiles },
];

async function largeFile(context: DriverContext): Promise<void> {
  const { driver } = context;
  const marks: readonly (readonly [position: number, text: string])[] = [
    [0, "begin"],
    [4 * GIB - 2, "across"],
    [LARGE_SIZE - 3, "end"],
  ];
  const steps = [
    (tree: RootedDir) => {
      using large = openWritable(tree, "large");
      large.truncate(LARGE_SIZE);
      for (const [position, text] of marks) large.writeAt(new TextEncoder().encode(text), position);
    },
    (tree: RootedDir) => {
      using large = openWritable(tree, "large");
      large.writeAt(new TextEncoder().encode("more"), 3 * GIB);
    },
  ];
  await withSnapshots(context, { steps }, async ([first, second]) => {
    if (first === undefined || second === undefined) throw new Error("A snapshot is missing");
    for (const [id, expected] of [[first, marks], [second, [...marks, [3 * GIB, "more"]]]] as const) {
      await using view = await driver.view(stackIn(driver, id));
      assertSparse(view.stat(at("large")));
      using large = view.openRead(at("large"));
      for (const [position, text] of expected) assert.equal(textAt(large, { position, length: text.length }), text);
      assert.equal(textAt(large, { position: 2 * GIB, length: 2 }), "\0\0");
    }
    assert.deepEqual(changeLines(await driver.changes(second, first)), ["C /large"]);
  });
}

function assertSparse(stat: FileStat | undefined): void {
  assert.equal(stat?.size, LARGE_SIZE);
  assert.equal((stat?.blocks ?? Infinity) <= SPARSE_BLOCKS_MAX, true, `it takes ${stat?.blocks} blocks`);
}

interface Readable {
  readAt(into: Uint8Array, position: number): number;
}

function textAt(from: Readable, { position, length }: { position: number; length: number }): string {
  const bytes = new Uint8Array(length);
  return new TextDecoder().decode(bytes.subarray(0, from.readAt(bytes, position)));
}

/** Names sort as their numbers do. */
function nameOf(index: number): string {
  return `d/${String(index).padStart(6, "0")}`;
}

async function manyFiles(context: DriverContext): Promise<void> {
  const { driver } = context;
  const indexes = Array.from({ length: FILES }, (_, index) => index);
  const even = indexes.filter((index) => index % 2 === 0);
  const stack = await stackOf(context, [
    [dir("d"), ...indexes.map((index) => file(nameOf(index), "1"))],
    even.map((index) => whiteout(nameOf(index))),
  ]);
  const odd = indexes.filter((index) => index % 2 === 1);
  {
    await using view = await driver.view(stack);
    assert.deepEqual(view.list(at("d")).map(({ name }) => `d/${name}`), odd.map(nameOf));
  }
  const [changed, again] = [odd, even].map((some) => some.filter((index) => index % 20 < 2));
  if (changed === undefined || again === undefined) throw new Error("Nothing to change");
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      assert.equal(tree.list(at("d")).length, FILES / 2);
      for (const index of changed) put(tree, nameOf(index), "22");
      for (const index of again) put(tree, nameOf(index), "new");
    });
    await driver.put(id);
    const lines = changeLines(await driver.changes(id, topId(stack)));
    assert.deepEqual([lines.length, lines[0], lines[1], lines[2]], [
      1 + changed.length + again.length,
      "C /d",
      `A /${nameOf(0)}`,
      `C /${nameOf(1)}`,
    ]);
  });
}
