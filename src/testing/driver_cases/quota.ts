// SPDX-License-Identifier: Apache-2.0
/**
 * Limits on what a writable layer may take. Whether they can be kept depends on the file system; that they are never taken
 * and then ignored does not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { file } from "../layer_builder.ts";
import { at, type DriverCase, type DriverContext, inTree, openWritable, stackOf, topId, withWritable } from "./case.ts";

const MIB = 1024 ** 2;

/** Cases about limits. */
export const quotaCases: readonly DriverCase[] = [
  { name: "a writable layer's size limit is kept, or refused as not supported", run: keepsLimit },
];

async function keepsLimit(context: DriverContext): Promise<void> {
  const { driver } = context;
  const top = topId(await stackOf(context, [[file("a", "1")]]));
  const id = randomCacheId();
  try {
    await driver.createReadWrite(id, top, { storageOptions: { size: "8M" } });
  } catch (error) {
    assert.equal(
      hasCode(error, "NOT_SUPPORTED"),
      true,
      `the limit was refused, but not as a thing that is not supported: ${error}`,
    );
    assert.equal(driver.exists(id), false);
    return;
  }
  try {
    const path = await driver.get(id);
    write(path, 4 * MIB);
    assert.throws(() => write(path, 32 * MIB), /EDQUOT|ENOSPC/);
    inTree(path, (tree) => tree.unlink(at("large")));
    write(path, 4 * MIB);
    await withWritable(context, [driver.locate(top)], ({ path }) => write(path, 32 * MIB));
  } finally {
    await driver.remove(id);
  }
}

function write(path: string, size: number): void {
  inTree(path, (tree) => {
    using large = openWritable(tree, "large");
    large.truncate(0);
    for (let written = 0; written < size; written += MIB) large.write(new Uint8Array(MIB).fill(0x78));
    large.sync();
  });
}
