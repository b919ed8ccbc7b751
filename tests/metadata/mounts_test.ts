// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseCacheId, randomCacheId } from "../../src/core/ids.ts";
import { type MountRecord, MountRecords, parseMountName } from "../../src/metadata/mounts.ts";
import type { StoreLayout } from "../../src/metadata/layout.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";
import { chainIdOf, refusal, scratchStore } from "./store_dir.ts";

const name = parseMountName("some-mount_name.1");

function create(layout: StoreLayout, record: MountRecord): Promise<void> {
  return withWriteLock(layout, {}, (lock) => new MountRecords(layout).create(lock, record));
}

function writeDockerMount(layout: StoreLayout, dir: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(layout.mountsDir, dir), { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(layout.mountsDir, dir, file), text);
}

describe("MountRecords", () => {
  it("create() writes Docker's files byte for byte, and read() gives all back", async () => {
    using store = scratchStore();
    const mountId = randomCacheId();
    const record: MountRecord = {
      name,
      mountId,
      initId: parseCacheId(`${mountId}-init`),
      parent: chainIdOf("p"),
      created: "2026-11-21T10:00:00.000Z",
      mountLabel: "system_u:object_r:container_file_t:s0:c1,c2",
      storageOptions: { size: "10G" },
      uidMap: [{ containerId: 0, hostId: 100000, size: 65536 }],
    };
    await create(store.layout, record);
    const dir = join(store.root, "image/overlay2/layerdb/mounts/some-mount_name.1");
    const text = (file: string) => readFileSync(join(dir, file), "latin1");
    assert.equal(text("mount-id"), mountId);
    assert.equal(text("init-id"), `${mountId}-init`);
    assert.equal(text("parent"), chainIdOf("p"));
    assert.deepEqual(readdirSync(dir).sort(), ["init-id", "mount-id", "parent", "strata.json"]);
    assert.equal(statSync(dir).mode & 0o700, 0o700);
    assert.deepEqual(new MountRecords(store.layout).read(name), record);
    assert.deepEqual(readdirSync(store.layout.stagingDir), []);
  });

  it("a writable layer on nothing has neither init-id nor parent", async () => {
    using store = scratchStore();
    await create(store.layout, { name, mountId: randomCacheId() });
    assert.deepEqual(readdirSync(store.layout.mountDir(name)).sort(), ["mount-id", "strata.json"]);
  });

  it("a taken name is a CONFLICT, even when its record is damaged, and nothing is left behind", async () => {
    using store = scratchStore();
    await create(store.layout, { name, mountId: randomCacheId() });
    await assert.rejects(create(store.layout, { name, mountId: randomCacheId() }), refusal("CONFLICT", name));
    rmSync(join(store.layout.mountDir(name), "mount-id"));
    await assert.rejects(create(store.layout, { name, mountId: randomCacheId() }), refusal("CONFLICT"));
    assert.deepEqual(readdirSync(store.layout.stagingDir), []);
  });

  it("list() takes Docker's records, and makes findings of half-written ones", () => {
    using store = scratchStore();
    const mountId = "a".repeat(64);
    writeDockerMount(store.layout, "whole", { "mount-id": `${mountId}\n`, parent: `${chainIdOf("p")}\n` });
    writeDockerMount(store.layout, "empty", {});
    writeDockerMount(store.layout, "torn", { "mount-id": mountId.slice(1), parent: chainIdOf("q") });
    writeDockerMount(store.layout, "badinit", { "mount-id": mountId, "init-id": "../x" });
    writeDockerMount(store.layout, "badparent", { "mount-id": mountId, parent: "" });
    writeDockerMount(store.layout, "bad name", { "mount-id": mountId });
    writeFileSync(join(store.layout.mountsDir, "file"), "");
    const mounts = new MountRecords(store.layout);
    const listing = mounts.list();
    assert.deepEqual([...listing.mounts.values()], [{
      name: parseMountName("whole"),
      mountId: parseCacheId(mountId),
      parent: chainIdOf("p"),
    }]);
    assert.deepEqual(listing.broken.map(({ subject }) => subject), [
      "bad name",
      "badinit",
      "badparent",
      "empty",
      "torn",
    ]);
    assert.equal(listing.broken.find(({ subject }) => subject === "torn")?.parent, chainIdOf("q"));
    assert.equal(listing.broken.find(({ subject }) => subject === "badinit")?.mountId, mountId);
    assert.throws(() => mounts.read(parseMountName("empty")), refusal("CORRUPT", "mount-id", "is missing"));
  });

  it("remove() takes whole and damaged records away; then the name is free", async () => {
    using store = scratchStore();
    const mounts = new MountRecords(store.layout);
    const remove = () => withWriteLock(store.layout, {}, (lock) => mounts.remove(lock, name));
    await assert.rejects(remove(), refusal("NOT_FOUND", name));
    await create(store.layout, { name, mountId: randomCacheId() });
    await remove();
    assert.equal(existsSync(store.layout.mountDir(name)), false);
    assert.throws(() => mounts.read(name), refusal("NOT_FOUND"));
    writeDockerMount(store.layout, name, {});
    assert.equal(mounts.has(name), true);
    await remove();
    await create(store.layout, { name, mountId: randomCacheId() });
    assert.deepEqual(readdirSync(store.layout.stagingDir), []);
  });

  it("parseMountName() lets only plain names become paths", () => {
    for (const bad of ["", ".", "..", "a/b", "../x", "-x", ".x", "a b", "ä", "x".repeat(256), "a\0"]) {
      assert.throws(() => parseMountName(bad), refusal("INVALID_ARGUMENT"), bad);
    }
    assert.equal(parseMountName("x".repeat(255)).length, 255);
  });
});
