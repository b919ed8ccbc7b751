// SPDX-License-Identifier: Apache-2.0
/**
 * Blocks that a copy shares with its original, where a driver says that it can: told by the file system itself, by
 * filefrag(8) of e2fsprogs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { runCommand } from "../../host/command.ts";
import { file } from "../layer_builder.ts";
import { type DriverCase, type DriverContext, inTree, openWritable, stackOf, topId, withWritable } from "./case.ts";

const SIZE = 8 * 1024 * 1024;

/** Cases about shared blocks. */
export const sharingCases: readonly DriverCase[] = [
  {
    name: "a writable layer's files share their blocks with the layer below, until they are written",
    needs: ({ reflink }) => reflink === "yes",
    run: sharesBlocks,
  },
];

async function sharesBlocks(context: DriverContext): Promise<void> {
  const content = new Uint8Array(SIZE).fill(0x78);
  const stack = await stackOf(context, [[file("one", content), file("two", content)], [file("small", "1")]]);
  await withWritable(context, stack, async ({ path }) => {
    inTree(path, (tree) => {
      using two = openWritable(tree, "two");
      two.write(new Uint8Array(SIZE).fill(0x79));
      two.sync();
    });
    assert.deepEqual(await sharing(`${path}/one`), { extents: "some", shared: "all" });
    assert.deepEqual(await sharing(`${path}/two`), { extents: "some", shared: "none" });
    assert.deepEqual(await sharing(`${context.driver.locate(topId(stack)).dir}/one`), {
      extents: "some",
      shared: "all",
    });
  });
}

interface Sharing {
  readonly extents: "some" | "none";
  readonly shared: "all" | "some" | "none";
}

/** What FIEMAP tells of a file: lines of extents, with flags at their ends. */
async function sharing(path: string): Promise<Sharing> {
  const { code, stdout, stderr } = await runCommand("filefrag", ["-s", "-v", path]);
  assert.equal(code, 0, stderr);
  const extents = new TextDecoder().decode(stdout).split("\n").filter((line) => /^ *\d+: /.test(line));
  const shared = extents.filter((line) => /\bshared\b/.test(line)).length;
  return {
    extents: extents.length > 0 ? "some" : "none",
    shared: shared === 0 ? "none" : shared === extents.length ? "all" : "some",
  };
}
