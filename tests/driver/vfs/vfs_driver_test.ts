// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { changeLines, stackOf, topId, withWritable } from "../../../src/testing/driver_cases/case.ts";
import { readBaseline, writeBaseline } from "../../../src/driver/vfs/baseline.ts";
import { file } from "../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";

describe("VfsDriver", () => {
  it("lays layers out as Docker does", async () => {
    await withScratchDriver("vfs", async (context) => {
      const stack = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
      const home = context.driver.spec.home;
      assert.deepEqual(readdirSync(join(home, "dir")).sort(), stack.map(({ cacheId }) => cacheId).sort());
      assert.deepEqual(readdirSync(join(home, "dir", topId(stack))), ["a", "b"]);
    });
  });

  it("compares contents when the baseline is lost, of another parent, or damaged", async () => {
    await withScratchDriver("vfs", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, [[file("a", "1"), file("b", "1")]]);
      await withWritable(context, stack, async ({ id, path }) => {
        writeFileSync(join(path, "a"), "2");
        utimesSync(join(path, "a"), 1_600_000_000, 1_600_000_000);
        const baseline = join(driver.spec.home, "baselines", id);
        const changes = async () => changeLines(await driver.changes(id, topId(stack)));
        assert.deepEqual(await changes(), ["C /a"]);
        for (const text of ["", "{}", JSON.stringify({ parent: "x", copiedAt: { sec: 9e9, nsec: 0 } })]) {
          writeFileSync(baseline, text);
          assert.deepEqual(await changes(), ["C /a"], text);
        }
        writeFileSync(baseline, JSON.stringify({ parent: topId(stack), copiedAt: { sec: 9e9, nsec: 0 } }));
        assert.deepEqual(await changes(), [], "the baseline is not used");
      });
    });
  });

  it("removes the baseline with the layer", async () => {
    await withScratchDriver("vfs", async (context) => {
      const stack = await stackOf(context, [[file("a", "1")]]);
      await withWritable(context, stack, () => {});
      assert.deepEqual(readdirSync(join(context.driver.spec.home, "baselines")), []);
    });
  });
});

describe("writeBaseline()", () => {
  it("notes the file system's time", async () => {
    await withScratchDriver("vfs", ({ work }) => {
      const path = join(work, "note");
      const before = Math.floor(Date.now() / 1000) - 1;
      writeBaseline(path, "p");
      const baseline = readBaseline(path);
      assert.equal(baseline?.parent, "p");
      assert.ok(baseline.copiedAt.sec >= before && baseline.copiedAt.sec <= before + 10);
      assert.equal(readBaseline(join(work, "absent")), undefined);
    });
  });
});
