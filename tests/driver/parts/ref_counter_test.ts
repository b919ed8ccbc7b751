// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../../src/core/errors.ts";
import { RefCounter } from "../../../src/driver/parts/ref_counter.ts";
import { runCommand } from "../../../src/host/command.ts";
import { mountAt } from "../../../src/host/mount_table.ts";
import { IS_ROOT, scratch } from "../../host/scratch.ts";

/** A kernel with mounts that only this test makes. */
class FakeKernel {
  readonly mounted = new Set<string>();
  readonly log: string[] = [];

  isMounted(path: string): boolean {
    return this.mounted.has(path);
  }

  readonly mount = (path: string) => () => {
    this.log.push(`mount ${path}`);
    this.mounted.add(path);
  };

  readonly unmount = (path: string) => () => {
    this.log.push(`unmount ${path}`);
    this.mounted.delete(path);
  };
}

const notFound = (error: unknown) => hasCode(error, "NOT_FOUND");

describe("RefCounter", () => {
  it("mounts for the first user and unmounts after the last", async () => {
    const { kernel, get, put } = begin();
    assert.deepEqual([await get("/a"), await get("/a"), await get("/b")], [1, 2, 1]);
    assert.deepEqual([await put("/a"), await put("/a"), await put("/b")], [1, 0, 0]);
    assert.deepEqual(kernel.log, ["mount /a", "mount /b", "unmount /a", "unmount /b"]);
  });

  it("counts a mount that it finds at the first use as somebody's", async () => {
    const { kernel, counter, get, put } = begin();
    kernel.mounted.add("/a");
    assert.equal(counter.count("/a"), 1);
    assert.equal(await get("/a"), 2);
    assert.equal(await put("/a"), 1);
    assert.deepEqual(kernel.log, []);
    assert.equal(await put("/a"), 0);
    assert.deepEqual(kernel.log, ["unmount /a"]);
  });

  it("begins again at 0 when the kernel lost the mount", async () => {
    const { kernel, counter, get, put } = begin();
    await get("/a");
    await get("/a");
    kernel.mounted.clear();
    assert.equal(counter.count("/a"), 0);
    assert.equal(await get("/a"), 1);
    kernel.mounted.clear();
    assert.equal(await put("/a"), 0, "there is nothing left to unmount");
    assert.deepEqual(kernel.log, ["mount /a", "mount /a"]);
  });

  it("refuses a put without a get, and counts on from 0", async () => {
    const { counter, get, put } = begin();
    await assert.rejects(() => put("/a"), notFound);
    await get("/a");
    await put("/a");
    await assert.rejects(() => put("/a"), notFound);
    assert.equal(counter.count("/a"), 0);
    assert.equal(await get("/a"), 1);
  });

  it("keeps the count when mounting or unmounting fails", async () => {
    const { kernel, counter, get, put } = begin();
    const fails = () => Promise.reject(new Error("no"));
    await assert.rejects(() => counter.get("/a", { whenFirst: fails }), /no/);
    assert.equal(await get("/a"), 1);
    await assert.rejects(() => counter.put("/a", { whenLast: fails }), /no/);
    assert.equal(counter.count("/a"), 1);
    assert.equal(await put("/a"), 0);
    assert.deepEqual(kernel.log, ["mount /a", "unmount /a"]);
  });

  it("lets calls on one path wait for each other, and on others not", async () => {
    const { kernel, counter } = begin();
    let release = () => {};
    const gate = new Promise<void>((resolve) => release = resolve);
    const slowly = async () => {
      await gate;
      kernel.mount("/a")();
    };
    const both = [1, 2].map(() => counter.get("/a", { whenFirst: slowly }));
    assert.equal(await counter.get("/b", { whenFirst: kernel.mount("/b") }), 1);
    release();
    assert.deepEqual(await Promise.all(both), [1, 2]);
    assert.deepEqual(kernel.log, ["mount /b", "mount /a"]);
  });

  it("counts as a plain number would, whatever comes in between", async () => {
    const step = fc.constantFrom("get", "put", "lost", "mounted by another");
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { kernel, counter, get, put } = begin();
      let expected = 0;
      for (const step of steps) {
        if (step === "get") assert.equal(await get("/a"), ++expected);
        else if (step === "put" && expected > 0) assert.equal(await put("/a"), --expected);
        else if (step === "put") assert.ok(await put("/a").then((count) => count === 0, notFound));
        else if (step === "lost") [expected] = [0, kernel.mounted.clear()];
        else if (!kernel.mounted.has("/a")) {
          // Notes of lost mounts say nothing of this one; a put clears them.
          await put("/a").catch(() => {});
          [expected] = [1, kernel.mounted.add("/a")];
        }
        assert.equal(counter.count("/a"), expected);
        assert.equal(kernel.mounted.has("/a"), expected > 0);
      }
    }));
  });
});

describe("RefCounter on real mounts", { skip: IS_ROOT ? false : "mounting needs root" }, () => {
  const mounts: string[] = [];

  afterEach(async () => {
    for (const path of mounts.splice(0)) while (mountAt(path) !== undefined) await runCommand("umount", ["--", path]);
  });

  it("mounts once for two users, and again when somebody unmounted", async () => {
    using dir = scratch();
    const path = `${dir.path}/a b`;
    mkdirSync(path);
    mounts.push(path);
    const counter = new RefCounter();
    const whenFirst = async () => void await runCommand("mount", ["-t", "tmpfs", "strata-test", path]);
    const whenLast = async () => void await runCommand("umount", ["--", path]);
    assert.equal(await counter.get(path, { whenFirst }), 1);
    assert.equal(await counter.get(path, { whenFirst }), 2);
    await runCommand("umount", ["--", path]);
    assert.equal(mountAt(path), undefined, "it was mounted once");
    assert.equal(await counter.get(path, { whenFirst }), 1);
    assert.equal(await new RefCounter().get(path), 2, "another counter finds the mount");
    assert.equal(await counter.put(path, { whenLast }), 0);
    assert.equal(mountAt(path), undefined);
    await assert.rejects(() => counter.put(path, { whenLast }), notFound);
    mounts.length = 0;
  });
});

function begin() {
  const kernel = new FakeKernel();
  const counter = new RefCounter(kernel);
  const get = (path: string) => counter.get(path, { whenFirst: kernel.mount(path) });
  const put = (path: string) => counter.put(path, { whenLast: kernel.unmount(path) });
  return { kernel, counter, get, put };
}
