// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { randomCacheId } from "../../src/core/ids.ts";
import { currentProcess } from "../../src/host/process.ts";
import { MountCounts } from "../../src/metadata/mount_counts.ts";
import { refusal, scratchStore } from "./store_dir.ts";

/** A kernel of one mount. */
class Kernel {
  mounted = false;
  mounts = 0;
  readonly isMounted = () => this.mounted;
  readonly whenFirst = async () => {
    await pause(2);
    assert.equal(this.mounted, false);
    this.mounted = true;
    this.mounts++;
  };
  readonly whenLast = () => {
    this.mounted = false;
  };
}

describe("MountCounts", () => {
  it("the first mounts, the last unmounts, those between only count", async () => {
    using store = scratchStore();
    const counts = new MountCounts({ runRoot: store.root, root: "/var/lib/strata" });
    const kernel = new Kernel();
    const id = randomCacheId();
    const seen = await Promise.all([1, 2, 3, 4].map(() => counts.increment(id, kernel)));
    assert.deepEqual(seen.sort(), [1, 2, 3, 4]);
    assert.equal(kernel.mounts, 1);
    assert.deepEqual(counts.list(), new Set([id]));
    for (const left of [3, 2, 1]) assert.equal(await counts.decrement(id, kernel), left);
    assert.equal(kernel.mounted, true);
    assert.equal(await counts.decrement(id, kernel), 0);
    assert.equal(kernel.mounted, false);
    const [dir = ""] = readdirSync(join(store.root, "mounts"));
    assert.deepEqual(readdirSync(join(store.root, "mounts", dir)), []);
  });

  it("keeps counts of other namespaces apart, and knows of them while they live", async () => {
    using store = scratchStore();
    const place = { runRoot: store.root, root: "/s" };
    const alive = currentProcess();
    const dead = { ...alive, startTime: alive.startTime + 1 };
    const [outside, inside, gone] = [undefined, alive, dead].map((session) => new MountCounts({ ...place, session }));
    assert.ok(outside && inside && gone);
    const [first, second] = [randomCacheId(), randomCacheId()];
    await gone.increment(second, new Kernel());
    assert.equal(outside.mountedBy(second), undefined);
    await inside.increment(first, new Kernel());
    assert.deepEqual([outside.read(first), inside.read(first)], [0, 1]);
    assert.deepEqual([outside.mountedBy(first), inside.mountedBy(first)], [alive, undefined]);
    assert.deepEqual([outside.list(), inside.list()], [new Set([first]), new Set([first])]);
    const [dir = ""] = readdirSync(join(store.root, "mounts"));
    const sessions = readdirSync(join(store.root, "mounts", dir));
    assert.deepEqual(sessions, [`session-${alive.pid}-${alive.startTime}`], "notes of what has ended stay");
  });

  it("unmounting what is not mounted is NOT_FOUND and never goes below 0", async () => {
    using store = scratchStore();
    const counts = new MountCounts({ runRoot: store.root, root: "/s" });
    const id = randomCacheId();
    await assert.rejects(counts.decrement(id, new Kernel()), refusal("NOT_FOUND", id));
    assert.equal(counts.read(id), 0);
    const [dir = ""] = readdirSync(join(store.root, "mounts"));
    assert.deepEqual(readdirSync(join(store.root, "mounts", dir)), []);
  });

  it("a count without a mount is 0, a mount without a count is somebody's", async () => {
    using store = scratchStore();
    const counts = new MountCounts({ runRoot: store.root, root: "/s" });
    const kernel = new Kernel();
    const id = randomCacheId();
    await counts.increment(id, kernel);
    await counts.increment(id, kernel);
    kernel.mounted = false; // Somebody unmounted it by hand.
    assert.equal(counts.read(id, kernel), 0);
    await assert.rejects(counts.decrement(id, kernel), refusal("NOT_FOUND"));
    assert.equal(await counts.increment(id, kernel), 1);

    const other = randomCacheId();
    kernel.mounted = true;
    assert.equal(await counts.increment(other, kernel), 2);
    assert.equal(await counts.decrement(other, kernel), 1);
    assert.equal(kernel.mounted, true);
  });

  it("a mount that fails is not counted, an unmount that fails stays counted", async () => {
    using store = scratchStore();
    const counts = new MountCounts({ runRoot: store.root, root: "/s" });
    const id = randomCacheId();
    const fail = () => Promise.reject(new Error("no"));
    await assert.rejects(counts.increment(id, { isMounted: () => false, whenFirst: fail }), /no/);
    assert.equal(counts.read(id), 0);
    await counts.increment(id);
    await assert.rejects(counts.decrement(id, { whenLast: fail }), /no/);
    assert.equal(counts.read(id), 1);
    await counts.increment(id);
    assert.equal(await counts.decrement(id, { release: "all" }), 0);
  });

  it("counts of another store, an earlier boot, or a torn file do not count", async () => {
    using store = scratchStore();
    const counts = new MountCounts({ runRoot: store.root, root: "/s" });
    const id = randomCacheId();
    await counts.increment(id);
    assert.equal(new MountCounts({ runRoot: store.root, root: "/t" }).read(id), 0);
    const [dir = ""] = readdirSync(join(store.root, "mounts"));
    const path = join(store.root, "mounts", dir, id);
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace(/"bootId":"[^"]*"/, `"bootId":"another"`));
    assert.equal(counts.read(id), 0);
    writeFileSync(path, text.slice(0, 10));
    assert.equal(counts.read(id), 0);
    assert.equal(await counts.increment(id), 1);
  });
});
