// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { completeDriver } from "../../../src/driver/naive/complete_driver.ts";
import type { Driver } from "../../../src/driver/driver.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { assertMerged, stackOf, topId } from "../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../src/testing/driver_suite.ts";
import { addLayer, dir, file, stageLayer, whiteout } from "../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";
import { partsOf } from "../../support/driver_parts.ts";

const reason = await probeOverlay(tmpdir());

describe("completeDriver()", () => {
  it("puts a layer that needs its parents on another's parents", { skip: reason ?? false }, async () => {
    const open = (driver: Driver) => completeDriver(partsOf(driver, { needsOf: (id) => driver.needsOf(id) }));
    await onScratch(open, "overlay2", async (context) => {
      const { driver, work } = context;
      const base = [dir("d"), file("d/a", "1"), file("d/b", "1")];
      const staged = (await stageLayer(driver, { archive: base, work })).sealed;
      const { sealed } = await stageLayer(driver, { archive: [whiteout("d/a")], below: [staged], work });
      const parents = await addLayer(driver, { archive: base, work });
      await driver.rebase(sealed, parents);
      await driver.publish(sealed);
      assert.deepEqual(driver.needsOf(sealed.cacheId), [topId(parents)]);
      await driver.remove(staged.cacheId);
      await assertMerged(context, [driver.locate(sealed.cacheId), ...parents], { "d/": "", "d/b": "1" });
    });
  });

  it("replaces a damaged layer without rename, and leaves no other", async () => {
    await onScratch((driver) => completeDriver(partsOf(driver, {})), "vfs", async (context) => {
      const { driver, work } = context;
      const cacheId = topId(await stackOf(context, [[file("a", "damaged")]]));
      const { sealed } = await stageLayer(driver, { archive: [file("a", "1")], work, cacheId });
      assert.notEqual(sealed.stagedAs, cacheId);
      await driver.replace(sealed);
      await assertMerged(context, [driver.locate(cacheId)], { a: "1" });
      assert.deepEqual(driver.list().map(({ cacheId }) => cacheId), [cacheId]);
    });
  });

  it("removes what a failed making has left, and says why it failed", async () => {
    const open = (driver: Driver) =>
      completeDriver(partsOf(driver, {
        async createReadWrite(id, parent, options) {
          await driver.createReadWrite(id, parent, options);
          throw new Error("It is full");
        },
      }));
    await onScratch(open, "vfs", async ({ driver }) => {
      const id = randomCacheId();
      await assert.rejects(async () => await driver.createReadWrite(id, undefined), /It is full/);
      assert.equal(driver.exists(id), false);
    });
  });

  it("takes what was being made for no layer, and lets gc remove it", async () => {
    const stuck = new Promise<never>(() => {});
    const open = (driver: Driver) =>
      completeDriver(partsOf(driver, {
        async createFromTemplate(id, options) {
          await driver.createFromTemplate(id, options);
          await stuck; // As a process that is killed.
        },
      }));
    await onScratch(open, "vfs", async (context) => {
      const { driver } = context;
      const [template, id] = [topId(await stackOf(context, [[file("a", "1")]])), randomCacheId()];
      const options = { template, parent: undefined, access: "writable" } as const;
      driver.createFromTemplate(id, options);
      await setTimeout(1);
      assert.deepEqual([existsSync(driver.locate(id).dir), driver.exists(id)], [true, false]);
      const other = context.reopen();
      assert.equal(other.exists(id), false);
      assert.deepEqual(other.list().map(({ cacheId }) => cacheId), [template]);
      await assert.rejects(async () => await other.get(id), (error) => hasCode(error, "NOT_FOUND"));
      await assert.rejects(
        async () => await other.createFromTemplate(id, options),
        (error) => hasCode(error, "CONFLICT"),
      );
      assert.deepEqual(other.debris().map(({ cacheId, what }) => [cacheId, what]), [[id, "an unfinished layer"]]);
      for (const debris of other.debris()) await other.removeDebris(debris);
      assert.deepEqual([other.debris(), existsSync(driver.locate(id).dir)], [[], false]);
      await other.createReadWrite(id, template);
      assert.equal(other.exists(id), true);
    });
  });

  it("passes the storage options on that the driver knows, and refuses others", async () => {
    const seen: unknown[] = [];
    const open = (driver: Driver) =>
      completeDriver(partsOf(driver, {
        storageOptionNames: ["colour"],
        createReadWrite: (id, parent, { storageOptions, ...options } = {}) => {
          seen.push(storageOptions);
          return driver.createReadWrite(id, parent, options);
        },
      }));
    await onScratch(open, "vfs", async ({ driver }) => {
      const create = async (storageOptions: Record<string, string>) =>
        await driver.createReadWrite(randomCacheId(), undefined, { storageOptions });
      await create({ colour: "red" });
      await assert.rejects(create({ size: "1" }), (error) => hasCode(error, "NOT_SUPPORTED"));
      await assert.rejects(create({ taste: "1" }), (error) => hasCode(error, "INVALID_ARGUMENT"));
      assert.deepEqual(seen, [{ colour: "red" }]);
    });
  });

  it("renames where the driver can, so that layers appear when they are published", async () => {
    await withScratchDriver("vfs", ({ driver }) => {
      assert.equal(completeDriver(partsOf(driver, { rename() {} })).capabilities.publishing, "by renaming");
      assert.equal(completeDriver(partsOf(driver, {})).capabilities.publishing, "in place");
    });
  });
});

async function onScratch(
  open: (driver: Driver) => Driver,
  name: string,
  run: (context: DriverContext) => Promise<void>,
): Promise<void> {
  await withScratchDriver({ name, open: (spec) => open(openDriver(spec)) }, run);
}
