// SPDX-License-Identifier: Apache-2.0
/** What Docker's file store is tested for beside the contents of its files: wrong objects in the places of others. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { isStrataError } from "../../src/core/errors.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import { LayerDb } from "../../src/metadata/layerdb.ts";
import { MountRecords, parseMountName } from "../../src/metadata/mounts.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";
import { chainIdOf, EMPTY_GZIP, recordOf, refusal, scratchStore, writeDockerLayer } from "./store_dir.ts";

const name = parseMountName("rw");

describe("a store whose directories are something else", () => {
  it("cannot list or publish layers when sha256 is a file, and leaves what was staged", async () => {
    using store = scratchStore();
    mkdirSync(dirname(store.layout.layersDir), { recursive: true });
    writeFileSync(store.layout.layersDir, "");
    const db = new LayerDb(store.layout);
    const record = recordOf("a");
    const stagedDir = join(store.root, "staged");
    mkdirSync(stagedDir);
    db.stageRecord(stagedDir, record);
    writeFileSync(join(stagedDir, "tar-split.json.gz"), EMPTY_GZIP);
    assert.throws(() => db.list(), isStrataError);
    const publish = withWriteLock(store.layout, {}, (lock) => db.publish(lock, { chainId: record.chainId, stagedDir }));
    await assert.rejects(publish, isStrataError);
    assert(existsSync(join(stagedDir, "diff")));
    rmSync(store.layout.layersDir);
    assert.equal(db.list().layers.size, 0);
  });

  it("cannot list or create writable layers when mounts is a file, and leaves nothing behind", async () => {
    using store = scratchStore();
    mkdirSync(dirname(store.layout.mountsDir), { recursive: true });
    writeFileSync(store.layout.mountsDir, "");
    const mounts = new MountRecords(store.layout);
    assert.throws(() => mounts.list(), isStrataError);
    const create = withWriteLock(store.layout, {}, (lock) => mounts.create(lock, { name, mountId: randomCacheId() }));
    await assert.rejects(create, isStrataError);
    assert.deepEqual(readdirSync(store.layout.stagingDir), []);
  });

  it("has no layers and no writable layers when there is nothing", () => {
    using store = scratchStore();
    assert.equal(new LayerDb(store.layout).list().layers.size, 0);
    assert.equal(new MountRecords(store.layout).list().mounts.size, 0);
  });

  it("does not follow symlinks in place of layers", () => {
    using store = scratchStore();
    const record = recordOf("a");
    const dir = writeDockerLayer(store.layout, record);
    const twin = recordOf("b");
    symlinkSync(dir, store.layout.layerDir(twin.chainId));
    const db = new LayerDb(store.layout);
    assert.deepEqual([...db.list().layers.keys()], [record.chainId]);
    assert.throws(() => db.read(twin.chainId), refusal("NOT_FOUND"));
  });

  for (const file of ["diff", "size", "cache-id", "parent", "descriptor.json"]) {
    it(`reports a layer whose ${file} is a directory`, () => {
      using store = scratchStore();
      const record = recordOf("a");
      const dir = writeDockerLayer(store.layout, record);
      rmSync(join(dir, file), { force: true });
      mkdirSync(join(dir, file));
      const db = new LayerDb(store.layout);
      assert.throws(() => db.read(record.chainId), refusal("CORRUPT", join(dir, file)));
      assert.deepEqual(db.list().broken.map(({ chainId }) => chainId), [record.chainId]);
    });
  }

  const ID = "a".repeat(64);
  const mountIds: readonly (readonly [string, string, "accepted" | "refused"])[] = [
    ["64 hex digits", ID, "accepted"],
    ["white space around it", ` ${ID}\n`, "accepted"],
    ["an init layer's id", `${ID}-init`, "accepted"],
    ["upper case", ID.toUpperCase(), "refused"],
    ["a digit short", ID.slice(1), "refused"],
    ["a digit more", `${ID}a`, "refused"],
    ["another suffix", `${ID}-exit`, "refused"],
    ["a path", `../${ID}`, "refused"],
    ["nothing", "", "refused"],
    ["two lines", `${ID}\n${ID}`, "refused"],
  ];
  for (const file of ["mount-id", "init-id"]) {
    for (const [what, text, verdict] of mountIds) {
      it(`reads ${what} as ${file}: ${verdict}`, () => {
        using store = scratchStore();
        const dir = store.layout.mountDir(name);
        mkdirSync(dir, { recursive: true });
        writeFileSync(join(dir, "mount-id"), ID);
        writeFileSync(join(dir, file), text);
        writeFileSync(join(dir, "parent"), chainIdOf("p"));
        const mounts = new MountRecords(store.layout);
        if (verdict === "accepted") assert.equal(mounts.read(name).parent, chainIdOf("p"));
        else assert.throws(() => mounts.read(name), refusal("CORRUPT", join(dir, file)));
        assert.equal(mounts.has(name), true, "the name is taken in either case");
      });
    }
  }
});
