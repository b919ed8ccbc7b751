// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import type { DifferDriver, TreeDiffer } from "../../../src/driver/interfaces/differ_driver.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { at, put, stackOf, topId } from "../../../src/testing/driver_cases/case.ts";
import { file } from "../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { IS_ROOT } from "../../host/scratch.ts";

const tool: TreeDiffer<number> = {
  applyDiff(target) {
    target.mkdir(at("bin"), 0o755);
    put(target, "bin/tool", "content");
    return Promise.resolve(Number(target.stat(at("bin/tool"))!.ino));
  },
};

for (const driver of ["vfs", "overlay2"]) {
  const reason = driver === "vfs" ? undefined : await probeOverlay(tmpdir());
  describe(`naiveDifferDriver() on ${driver}`, { skip: reason ?? false }, () => {
    it("moves the staged files into the layer, and copies none", async () => {
      await withScratchDriver(driver, async (context) => {
        const base = topId(await stackOf(context, [[file("bin/old", "1")]]));
        const id = randomCacheId();
        await context.driver.create(id, base);
        const staging = `${context.work}/staging`;
        const { differs } = context.driver;
        const { staged, output } = await differs.applyDiffWithDiffer(tool, { staging });
        await differs.applyDiffFromStagingDirectory(id, base, staged);
        assert.equal(statSync(join(differs.differTarget(id), "bin/tool")).ino, output);
        assert.equal(existsSync(`${staged.dir}/bin/tool`), false);
        await differs.cleanupStagingDirectory(staging);
      });
    });

    it("keeps what was staged until it is cleaned up, also when the layer refuses it", async () => {
      await withScratchDriver(driver, async (context) => {
        const { differs } = context.driver;
        const { staged } = await differs.applyDiffWithDiffer(tool, { staging: `${context.work}/staging` });
        const refused = differs.applyDiffFromStagingDirectory(randomCacheId(), undefined, staged);
        await assert.rejects(refused, (error) => hasCode(error, "NOT_FOUND"));
        assert(existsSync(`${staged.dir}/bin/tool`));
        const id = randomCacheId();
        await context.driver.create(id, undefined);
        const signal = AbortSignal.abort();
        const aborted = differs.applyDiffFromStagingDirectory(id, undefined, { ...staged, signal });
        await assert.rejects(aborted, (error) => hasCode(error, "ABORTED"));
        assert(existsSync(`${staged.dir}/bin/tool`));
        await differs.applyDiffFromStagingDirectory(id, undefined, staged);
        assert(existsSync(join(differs.differTarget(id), "bin/tool")));
      });
    });

    it("stages under the ids of the home, and gives the root of the tree to theirs", { skip: !IS_ROOT }, async () => {
      const home = mkdtempSync(join(tmpdir(), "strata differs-"));
      try {
        const map = [{ containerId: 0, hostId: 200_000, size: 65_536 }];
        const idMappings = { uids: map, gids: map };
        const mapped = openDriver({ name: driver, home: join(home, driver), options: {}, idMappings });
        const { staged } = await mapped.differs.applyDiffWithDiffer({
          applyDiff(target, options) {
            assert.deepEqual(options.idMappings, idMappings);
            put(target, "f", "1");
            target.setOwner(at("f"), 200_007, 200_008);
            return Promise.resolve();
          },
        }, { staging: join(home, "staging") });
        assert.equal(statSync(staged.dir).uid, 200_000);
        const id = randomCacheId();
        await mapped.create(id, undefined);
        await mapped.differs.applyDiffFromStagingDirectory(id, undefined, staged);
        await using view = await mapped.view([mapped.locate(id)]);
        const { uid, gid } = view.stat(at("f"))!;
        assert.deepEqual([uid, gid], [7, 8]);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });
  });
}

it("a driver's own part for differs is taken instead", async () => {
  const { completeDriver } = await import("../../../src/driver/naive/complete_driver.ts");
  await withScratchDriver("vfs", ({ driver }) => {
    const differs: DifferDriver = { ...driver.differs, differTarget: () => "/somewhere" };
    const proto = new Proxy(driver, { get: (of, key) => key === "differs" ? differs : Reflect.get(of, key, of) });
    assert.equal(completeDriver(proto).differs.differTarget(randomCacheId()), "/somewhere");
  });
});
