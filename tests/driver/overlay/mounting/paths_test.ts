// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { openDriver } from "../../../../src/driver/registry.ts";
import { MOUNT_DATA_BYTES_MAX } from "../../../../src/driver/overlay/mounting/mount_data.ts";
import { probeOverlay } from "../../../../src/driver/overlay/mounting/probe.ts";
import { ensureDir } from "../../../../src/host/files.ts";
import { mountAt, mountsBelow } from "../../../../src/host/mount_table.ts";
import { stackOf, topId, withWritable } from "../../../../src/testing/driver_cases/case.ts";
import { file } from "../../../../src/testing/layer_builder.ts";

/** What means something to mount(8), to overlayfs, to the table of mounts, or to a shell. */
const MARKS = [":", ",", "\\", " ", "\n", "\t", "\r", '"', "'", "#", "=", "$", "*", "%", "\\040", "-o", "é", "🦆"];
const name = fc.array(fc.constantFrom(...MARKS), { minLength: 1, maxLength: 8 }).map((parts) => parts.join(""));

const skip = await probeOverlay(tmpdir()) ?? false;
// Without SELinux mount(8) drops a label, so that one of any length can push the names of layers off the page.
const labels = existsSync("/sys/fs/selinux/enforce")
  ? [undefined]
  : [undefined, "x".repeat(MOUNT_DATA_BYTES_MAX - 300)];

test("layers mount below any path", { skip }, async () => {
  await fc.assert(fc.asyncProperty(name, mountBelow), {
    numRuns: Number(process.env.STRATA_PROPERTY_RUNS ?? 25),
    examples: [...MARKS.map((mark): [string] => [mark]), [MARKS.join("")]],
  });
});

async function mountBelow(name: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "strata-"));
  const root = `${scratch}/${name}`;
  mkdirSync(root);
  const driver = openDriver({ name: "overlay2", home: `${root}/overlay2`, options: {} });
  try {
    const work = `${root}/work`;
    ensureDir(work, 0o700);
    const context = { driver, work, reopen: () => driver };
    const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")], [file("c", "3")]]);
    const base = stack[2]!.cacheId;
    for (const mountLabel of labels) {
      const options = mountLabel === undefined ? {} : { mountLabel };
      const shown = await driver.get(topId(stack), options);
      assert.deepEqual(readdirSync(shown).sort(), ["a", "b", "c"]);
      assert.equal(mountAt(shown)?.fsType, "overlay");
      assert.equal(await driver.get(base), mountAt(`${driver.locate(base).dir}/merged`)?.mountPoint);
      await withWritable(context, stack, async ({ id, path }) => {
        await driver.put(id);
        assert.equal(await driver.get(id, options), path);
        writeFileSync(`${path}/a`, name);
        assert.equal(readFileSync(`${path}/a`, "utf8"), name);
        assert.equal(driver.mountsOver(base).length, 3);
      });
      await driver.cleanup();
      assert.deepEqual(mountsBelow(root), []);
      assert.deepEqual(driver.debris(), []);
    }
  } finally {
    await driver.cleanup();
    rmSync(scratch, { recursive: true, force: true });
  }
}
