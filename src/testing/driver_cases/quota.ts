// SPDX-License-Identifier: Apache-2.0
/**
 * Limits on what a writable layer may take. Whether they can be kept depends on the file system; that they are never taken
 * and then ignored does not.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { hasCode } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { runCommand } from "../../host/command.ts";
import { file } from "../layer_builder.ts";
import { at, type DriverCase, type DriverContext, inTree, stackOf, topId, withWritable } from "./case.ts";

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
    assert.equal(await write(path, 4), "written");
    assert.equal(await write(path, 32), "refused");
    inTree(path, (tree) => tree.unlink(at("large")));
    assert.equal(await write(path, 4), "written");
    await withWritable(context, [driver.locate(top)], async ({ path }) => {
      assert.equal(await write(path, 32), "written", "another layer's limit reaches this one");
    });
  } finally {
    await driver.remove(id);
  }
}

/** Writes by dd(1), without the right to pass limits: ext4 holds who has it to none, and containers have it not. */
async function write(path: string, mebibytes: number): Promise<"written" | "refused"> {
  const dd = ["dd", "if=/dev/zero", `of=${path}/large`, "bs=1M", `count=${mebibytes}`, "conv=fsync"];
  const limited = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource", ...dd];
  const [program = "", ...args] = process.geteuid?.() === 0 ? limited : dd;
  const { code, stderr } = await runCommand(program, args);
  if (code === 0) return "written";
  assert.match(stderr, /Disk quota exceeded|No space left on device/);
  return "refused";
}
