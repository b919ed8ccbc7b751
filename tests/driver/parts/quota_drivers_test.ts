// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import type { Driver } from "../../../src/driver/driver.ts";
import { openDriver } from "../../../src/driver/registry.ts";
import { projectIdOf } from "../../../src/host/quota/project_id.ts";
import { ProjectQuotas } from "../../../src/host/quota/quota.ts";
import { mountLoop, needsLoop, whyNoLoop } from "../../support/loop_file_system.ts";

const MIB = 1024 * 1024;
const PQUOTA = { mount: ["pquota"] };
/** A kernel with project quotas cannot be asked for, so these are skipped elsewhere. */
const enforced = { skip: whyNoLoop("xfs", PQUOTA) ?? false };

for (const name of ["overlay2", "vfs"]) {
  describe(`limits of ${name} on xfs with project quotas`, enforced, () => {
    it("hold for all that is written into a layer, and for nothing else", async () => {
      using home = onXfs(name);
      const { driver } = home;
      const [base, limited, free] = [randomCacheId(), randomCacheId(), randomCacheId()];
      await driver.createReadWrite(base, undefined);
      await driver.createReadWrite(limited, base, { storageOptions: { size: "4m" } });
      await driver.createReadWrite(free, base);
      const inside = await driver.get(limited);
      const beside = await driver.get(free);
      try {
        const bytes = fill(inside, 8);
        assert.ok(bytes > 3 * MIB && bytes <= 4 * MIB, String(bytes));
        assert.equal(fill(beside, 8), 8 * MIB);
        await driver.put(limited);
        const again = await driver.get(limited);
        assert.ok(fill(again, 1) < MIB, "the layer is still full when it is mounted again");
        const path = `${again}/${readdirSync(again)[0]}`;
        assert.equal(spawnSync("rm", ["--", path]).status, 0, "what is full can be emptied");
        assert.equal(fill(again, 1), MIB);
      } finally {
        await driver.cleanup();
      }
    });

    it("let a full layer be one that others lie on", async () => {
      using home = onXfs(name);
      const { driver } = home;
      const [full, above] = [randomCacheId(), randomCacheId()];
      await driver.createReadWrite(full, undefined, { storageOptions: { inodes: "20" } });
      const tree = await driver.get(full);
      const { dir } = driver.locate(full);
      while (make(`${tree}/${randomCacheId()}`));
      const before = readdirSync(tree).length;
      assert.ok(before < 20 && !makes(() => mkdirSync(`${dir}/more`)), "the layer is full for this process, too");
      await driver.create(above, full);
      assert.equal(name === "overlay2", existsSync(`${dir}/committed`));
      assert.equal(make(`${tree}/more`), false, "the limits hold again");
      const other = await driver.get(above, { access: "read-only" });
      assert.equal(readdirSync(other).length, before);
      await driver.put(above);
    });

    it("hold for inodes, and come from the driver's options where a layer has none of its own", async () => {
      using home = onXfs(name, { [`${name}.size`]: "64m", [`${name}.inodes`]: "30" });
      const { driver } = home;
      const [base, byDefault, own] = [randomCacheId(), randomCacheId(), randomCacheId()];
      await driver.createReadWrite(base, undefined);
      await driver.createReadWrite(byDefault, base);
      await driver.createReadWrite(own, base, { storageOptions: { inodes: "0", size: "0" } });
      try {
        const inodes = (path: string) =>
          Array.from({ length: 40 }, (_, i) => make(`${path}/${i}`)).filter(Boolean).length;
        const made = inodes(await driver.get(byDefault));
        assert.ok(made > 20 && made < 30, `${made} files beside the layer's own`);
        assert.equal(inodes(await driver.get(own)), 40);
      } finally {
        await driver.cleanup();
      }
    });

    it("end with the layer", async () => {
      using home = onXfs(name);
      const { driver } = home;
      const quotas = new ProjectQuotas(home.path);
      const id = randomCacheId();
      await driver.createReadWrite(id, undefined, { storageOptions: { size: "4m", inodes: "100" } });
      const project = projectIdOf(driver.locate(id).dir);
      const { bytes, inodes } = quotas.usage(project);
      assert.deepEqual({ bytes, inodes }, { bytes: 4 * MIB, inodes: 100 });
      await driver.remove(id);
      assert.deepEqual(quotas.usage(project), { ...quotas.usage(project), bytes: 0, inodes: 0 });
    });

    it("are not for layers that are read only", async () => {
      using home = onXfs(name, { [`${name}.size`]: "4m" });
      const { driver } = home;
      const id = randomCacheId();
      await driver.create(id, undefined);
      assert.equal(projectIdOf(driver.locate(id).dir), 0);
      await assert.rejects(
        async () => await driver.create(randomCacheId(), undefined, { storageOptions: { size: "4m" } }),
        (error) => hasCode(error, "INVALID_ARGUMENT"),
      );
    });
  });

  describe(`limits of ${name} on xfs without project quotas`, needsLoop("xfs"), () => {
    it("are refused when the driver is opened, and when a layer is made, of which nothing is left", async () => {
      using home = onXfs(name, {}, {});
      const { driver } = home;
      const id = randomCacheId();
      const refused = (error: unknown) =>
        hasCode(error, "NOT_SUPPORTED") &&
        /mounted with "pquota", on a kernel with CONFIG_XFS_QUOTA/.test(error.message);
      await assert.rejects(
        async () => await driver.createReadWrite(id, undefined, { storageOptions: { size: "10g" } }),
        refused,
      );
      assert.ok(!driver.exists(id));
      const spec = { ...driver.spec, options: { [`${name}.size`]: "10g" } };
      assert.throws(() => openDriver(spec), refused);
      await driver.createReadWrite(id, undefined, { storageOptions: { size: "0" } });
      assert.ok(driver.exists(id), "no limit is nothing to refuse");
    });
  });
}

interface Home extends Disposable {
  readonly driver: Driver;
  readonly path: string;
}

function onXfs(
  name: string,
  options: Readonly<Record<string, string>> = {},
  loop: { mount?: string[] } = PQUOTA,
): Home {
  const xfs = mountLoop("xfs", loop);
  const home = `${xfs.path}/${name}`;
  mkdirSync(home);
  return { driver: openDriver({ name, home, options }), path: xfs.path, [Symbol.dispose]: () => xfs[Symbol.dispose]() };
}

/** Writes zeros into a new file, as a container does, and gives how many bytes went in. */
function fill(dir: string, mebibytes: number): number {
  const path = `${dir}/${randomCacheId()}`;
  const dd = ["dd", "if=/dev/zero", `of=${path}`, "bs=64k", `count=${mebibytes * 16}`, "conv=fsync"];
  const { stderr } = spawnSync("setpriv", ["--bounding-set", "-sys_resource", ...dd], { encoding: "utf8" });
  return Number(/^(\d+) bytes/m.exec(stderr)?.[1] ?? 0);
}

function makes(act: () => void): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

function make(path: string): boolean {
  return spawnSync("setpriv", ["--bounding-set", "-sys_resource", "touch", path]).status === 0;
}
