// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { randomCacheId } from "../../src/core/ids.ts";
import type { Driver } from "../../src/driver/driver.ts";
import { openDriver } from "../../src/driver/registry.ts";
import { removeTree } from "../../src/driver/parts/requests.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { runCommand } from "../../src/host/command.ts";
import { mountAt, mountsBelow } from "../../src/host/mount_table.ts";
import { IS_ROOT, scratch } from "../host/scratch.ts";
import { tmpdir } from "node:os";

const skip = IS_ROOT ? await probeOverlay(tmpdir()) ?? false : "mounting needs root";

for (const name of ["overlay2", "vfs"]) {
  describe(`remove() of ${name}`, { skip }, () => {
    it("unmounts what is in use, and what others mounted inside", async () => {
      await using home = begin(name);
      const { driver, layer } = await home.mounted();
      const inside = await driver.get(layer);
      mkdirSync(`${inside}/data`);
      await home.mount(["--bind", "--", `${inside}/data`, `${inside}/data`]);
      await home.mount(["-t", "tmpfs", "--", "strata-test", `${inside}/data`]);
      writeFileSync(`${inside}/file`, "");
      await home.mount(["--bind", "--", `${inside}/file`, `${inside}/file`]);
      await home.run("sleep", ["60"], { cwd: `${inside}/data` });
      await driver.remove(layer);
      assert.ok(!driver.exists(layer));
      assert.deepEqual(mountsBelow(driver.locate(layer).dir), []);
    });

    it("does not wait for mounts in another mount namespace", async () => {
      await using home = begin(name);
      const { driver, layer } = await home.mounted();
      const inside = await driver.get(layer);
      mkdirSync(`${inside}/data`);
      const script = `mount -t tmpfs strata-test "${inside}/data" && echo ready && exec sleep 60`;
      const child = await home.run("unshare", ["-m", "--propagation", "private", "sh", "-c", script], {
        speaks: "yes",
      });
      assert.match(readFileSync(`/proc/${child.pid}/mountinfo`, "utf8"), new RegExp(`${inside}/data`));
      assert.equal(mountAt(`${inside}/data`), undefined);
      await driver.remove(layer);
      assert.ok(!driver.exists(layer));
    });

    it("leaves layers alone whose paths begin alike", async () => {
      await using home = begin(name);
      const { driver, layer } = await home.mounted();
      const { dir } = driver.locate(layer);
      mkdirSync(`${dir}-init`);
      await home.mount(["-t", "tmpfs", "--", "strata-test", `${dir}-init`]);
      await driver.remove(layer);
      assert.ok(!driver.exists(layer));
      assert.notEqual(mountAt(`${dir}-init`), undefined);
    });
  });
}

describe("removeTree()", { skip }, () => {
  it("unmounts what somebody mounts while it removes", async () => {
    await using home = begin("vfs");
    const tree = `${home.path}/tree`;
    const places = Array.from({ length: 20 }, (_, i) => `${tree}/${i}`);
    for (const place of places) mkdirSync(place, { recursive: true });
    const mounting = (async () => {
      for (const place of places) await runCommand("mount", ["-t", "tmpfs", "--", "strata-test", place]);
    })();
    await Promise.all([removeTree("remove a tree", tree), mounting]);
    assert.ok(!existsSync(tree));
  });

  it("is content when there is nothing", async () => {
    await using home = begin("vfs");
    await removeTree("remove a tree", `${home.path}/absent`);
    await removeTree("remove a tree", `${home.path}/absent/below`);
  });
});

/** A home whose mounts and processes end with the test. */
function begin(name: string) {
  const dir = scratch();
  const children: ChildProcess[] = [];
  return {
    path: dir.path,
    async mounted(): Promise<{ driver: Driver; layer: ReturnType<typeof randomCacheId> }> {
      const driver = openDriver({ name, home: `${dir.path}/${name}`, options: {} });
      const [base, layer] = [randomCacheId(), randomCacheId()];
      await driver.createReadWrite(base, undefined);
      await driver.createReadWrite(layer, base);
      return { driver, layer };
    },
    async mount(args: string[]): Promise<void> {
      const { code, stderr } = await runCommand("mount", args);
      assert.equal(code, 0, stderr);
    },
    async run(program: string, args: string[], options: { cwd?: string; speaks?: "yes" }): Promise<ChildProcess> {
      const { cwd, speaks } = options;
      const child = spawn(program, args, {
        stdio: ["ignore", "pipe", "inherit"],
        ...(cwd === undefined ? {} : { cwd }),
      });
      children.push(child);
      if (speaks === undefined) await setTimeout(50);
      else await once(child.stdout!, "data");
      return child;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const child of children) {
        child.stdout?.destroy();
        child.kill("SIGKILL");
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      }
      for (const { mountPoint } of mountsBelow(dir.path).reverse()) {
        await runCommand("umount", ["-l", "--", mountPoint]);
      }
      dir[Symbol.dispose]();
    },
  };
}
