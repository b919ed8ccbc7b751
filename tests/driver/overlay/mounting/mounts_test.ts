// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { hasCode } from "../../../../src/core/errors.ts";
import type { LayerLocation } from "../../../../src/driver/interfaces/layer_sealer.ts";
import { LOWERS_MAX } from "../../../../src/driver/overlay/mounting/mount_data.ts";
import { probeOverlay } from "../../../../src/driver/overlay/mounting/probe.ts";
import { SHORT_NAMES_PREFIX, shortNames } from "../../../../src/driver/overlay/mounting/short_names.ts";
import { mountAt } from "../../../../src/host/mount_table.ts";
import { ensureDir, removeTreeAt } from "../../../../src/host/files.ts";
import { stackOf, topId, withWritable } from "../../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../../src/testing/driver_suite.ts";
import { addLayer, file, stageLayer } from "../../../../src/testing/layer_builder.ts";
import { withScratchDriver } from "../../../conformance/scratch_driver.ts";

const skip = await probeOverlay(tmpdir()) ?? false;

describe("shortNames()", () => {
  it("gives different names, of which as many as a mount takes fit into less than half a page", () => {
    const names = shortNames(LOWERS_MAX);
    assert.equal(new Set(names).size, LOWERS_MAX);
    assert.ok(names.join(":").length < 2048);
  });
});

describe("OverlayMounts", { skip }, () => {
  it("mounts as many layers as the kernel takes, for reading and for writing, and refuses one more", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await unsyncedStack(context, LOWERS_MAX);
      const id = topId(stack);
      const path = await driver.get(id);
      assertShown(path);
      assert.throws(() => writeFileSync(`${path}/new`, ""), { code: "EROFS" });
      assert.deepEqual(driver.mountsOver(stack.at(-1)!.cacheId), [path]);
      await driver.put(id);
      await withWritable(context, stack, async ({ id, path }) => {
        assertShown(path);
        writeFileSync(`${path}/0`, "changed");
        assert.equal(readFileSync(`${path}/0`, "utf8"), "changed");
        assert.deepEqual(driver.mountsOver(stack[250]!.cacheId), [path]);
        await driver.put(id);
        await assert.rejects(driver.get(id, { access: "read-only" }), (error) => hasCode(error, "MAX_DEPTH"));
        assert.equal(readdirSync(driver.locate(id).dir).includes("merged"), false);
      });
      assertClean(context);
      const higher = async () => await addLayer(driver, { archive: [], below: stack, work: context.work });
      await assert.rejects(
        higher,
        (error) => hasCode(error, "MAX_DEPTH") && error.detail.depthMax === LOWERS_MAX - 1,
      );
    });
  });

  it("lets nobody write to a layer that is shared, whatever options are asked for", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      for (const { cacheId } of await stackOf(context, [[file("a", "1")], [file("b", "1")]])) {
        const path = await driver.get(cacheId, { mountOptions: ["rw"] });
        assert.throws(() => writeFileSync(`${path}/new`, ""), { code: "EROFS" });
        await driver.put(cacheId);
      }
    });
  });

  it("says how many layers fit beside a label that takes most of the page", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, Array.from({ length: 60 }, (_, index) => [file(`${index}`)]));
      const id = topId(stack);
      const refused = await driver.get(id, { mountLabel: "x".repeat(4000) }).catch((error: unknown) => error);
      assert.ok(hasCode(refused, "MAX_DEPTH"), String(refused));
      assert.match(refused.message, new RegExp(`${refused.detail.depthMax} layers would fit`));
      assert.equal(mountAt(driver.treeOf(id, "read-only").path), undefined);
      assertClean(context);
    });
  });

  it("mounts a layer again whose mount left syncing out, and never a read-only one so", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const stack = await stackOf(context, [[file("a", "1")], [file("b", "1")]]);
      await withWritable(context, stack, async ({ id, path }) => {
        for (const mountOptions of [["volatile"], [], ["volatile"]]) {
          await driver.put(id);
          await driver.get(id, { mountOptions });
          assert.equal(isVolatile(path), mountOptions.length > 0);
          writeFileSync(`${path}/c`, "1");
        }
      });
      for (const layer of stack) {
        const path = await driver.get(layer.cacheId, { mountOptions: ["volatile"] });
        assert.equal(isVolatile(path), false);
        await driver.put(layer.cacheId);
      }
    });
  });

  it("passes a security label on, which mount(8) leaves out where there is no SELinux", async () => {
    await withScratchDriver("overlay2", async (context) => {
      const { driver } = context;
      const id = topId(await stackOf(context, [[file("a", "1")], [file("b", "1")]]));
      const path = await driver.get(id, { mountLabel: "system_u:object_r:container_file_t:s0:c1,c2" });
      const labelled = mountAt(path)?.superOptions.some((option) => option.startsWith("context="));
      assert.equal(labelled, existsSync("/sys/fs/selinux/enforce"));
      await driver.put(id);
      await assert.rejects(driver.get(id, { mountLabel: 'a",upperdir="x' }), (e) => hasCode(e, "INVALID_ARGUMENT"));
      assert.equal(readdirSync(driver.locate(id).dir).includes("merged"), false);
    });
  });

  it("takes names away that a killed process left", async () => {
    await withScratchDriver("overlay2", async ({ driver }) => {
      const path = `${driver.spec.home}/${SHORT_NAMES_PREFIX}x`;
      ensureDir(path, 0o700);
      const [debris] = driver.debris();
      assert.deepEqual([debris?.path, debris?.use], [path, "momentary"]);
      await driver.removeDebris(debris!);
      assert.deepEqual(driver.debris(), []);
    });
  });
});

/** Layers with a file each, named by its number from the base. Syncing each would take as long as all else. */
async function unsyncedStack({ driver, work }: DriverContext, count: number): Promise<readonly LayerLocation[]> {
  let below: readonly LayerLocation[] = [];
  for (let index = 0; index < count; index++) {
    const { sealed, staging } = await stageLayer(driver, { archive: [file(`${index}`, `${index}`)], below, work });
    await driver.publish(sealed);
    removeTreeAt(staging);
    below = [driver.locate(sealed.cacheId), ...below];
  }
  return below;
}

/** Newer kernels show the option as `fsync=volatile`. */
function isVolatile(path: string): boolean {
  return mountAt(path)?.superOptions.some((option) => option.endsWith("volatile")) ?? false;
}

function assertShown(path: string): void {
  assert.equal(readdirSync(path).length, LOWERS_MAX);
  for (const name of [0, 1, LOWERS_MAX / 2, LOWERS_MAX - 1]) {
    assert.equal(readFileSync(`${path}/${name}`, "utf8"), `${name}`);
  }
}

function assertClean({ driver }: DriverContext): void {
  assert.deepEqual(driver.debris(), []);
}
