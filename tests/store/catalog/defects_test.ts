// SPDX-License-Identifier: Apache-2.0
/**
 * Defects of containers/storage that were seen with its tool, each by its own test: here they are not. Those of additional
 * layers are in `put_additional_layer_test.ts`, those of mapped and masked owners, of `cleanup` and of the command line's
 * JSON beside what they are about.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { digestOf } from "../../../src/core/digest.ts";
import { mountsBelow } from "../../../src/host/mount_table.ts";
import { dir, file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("dir"), file("dir/base", "base\n"), file("foo", "below\n")]);
const OTHER = layerTar([file("other", "other\n")]);
const IS_ROOT = process.getuid?.() === 0;
const needsRoot = { skip: IS_ROOT ? false : "owners and mounts need root" };

for (const driver of DRIVERS) {
  describe(`what goes wrong elsewhere, on ${driver}`, () => {
    it("ids are no paths", async () => {
      using scratch = new ScratchRoot();
      const victim = join(scratch.dir, "victim");
      mkdirSync(victim);
      await using store = await scratch.open({ driver });
      for (const id of ["../../victim", "../../../victim", victim, "..", "a/../../b"]) {
        await assert.rejects(store.catalog.create({ id }), { code: "INVALID_ARGUMENT" });
        await assert.rejects(async () => await store.catalog.delete(id), { code: "NOT_FOUND" });
      }
      // Names of the driver's own are ids as any.
      for (const id of ["l", "staging", "tmp", "layers.json"]) await store.catalog.create({ id });
      for (const id of ["l", "staging", "tmp", "layers.json"]) await store.catalog.delete(id);
      assert(existsSync(victim));
      assert.deepEqual((await store.fsck({})).findings, []);
    });

    it("a layer that others lie on is not deleted, by whichever word", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "parent-id", names: ["parent"], diff: streamOf(BASE) });
      await store.catalog.put({ id: "child", parent: "parent-id", diff: streamOf(OTHER) });
      for (const ref of ["parent-id", "parent", "parent-", store.resolveChain("parent")]) {
        await assert.rejects(store.catalog.delete(ref), { code: "IN_USE" }, ref);
      }
      assert.equal((await store.verify(store.resolveChain("child"))).state, "ok");
    });

    it(
      "owners are mapped, those that are the map's root on the host and names of one character among them",
      needsRoot,
      async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const members = ["a", "b", "c", "long"].flatMap((
          name,
        ) => [file(name, name), file(`${name}k`, name, { uid: 1000, gid: 1000 })]);
        await store.catalog.put({ id: "base", diff: streamOf(layerTar(members)) });
        const range = [{ containerId: 0, hostId: 1000, size: 65536 }];
        const idMappings = { uids: range, gids: range };
        await store.catalog.create({ id: "mapped", parent: "base", access: "writable", idMappings });
        const tree = await store.catalog.mount("mapped");
        for (const name of ["a", "b", "c", "long"]) {
          assert.deepEqual(
            [lstatSync(join(tree, name)).uid, lstatSync(join(tree, `${name}k`)).uid],
            [1000, 2000],
            name,
          );
        }
        await store.catalog.unmount("mapped");
        assert.deepEqual(await store.catalog.changes("mapped"), []);
      },
    );

    it("archives may repeat a path, and delete what they bring, in whatever order", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      const archives = {
        repeated: layerTar([file("foo", "first\n"), file("foo", "second\n")]),
        before: layerTar([whiteout("foo"), file("foo", "second\n")]),
        after: layerTar([file("foo", "second\n"), whiteout("foo"), whiteout("foo")]),
      };
      for (const [id, tar] of Object.entries(archives)) {
        await store.catalog.put({ id, parent: "base", diff: streamOf(tar) });
        assert.deepEqual(await bytesOf(store.catalog.diff(id)), tar, id);
        const tree = await store.catalog.mount(id);
        assert.equal(readFileSync(join(tree, "foo"), "utf8"), "second\n", id);
        await store.catalog.unmount(id);
      }
    });

    it("the root's own member counts", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const tar = layerTar([dir("./", { mode: 0o751 }), file("f")]);
      await store.catalog.put({ id: "root", diff: streamOf(tar) });
      assert.equal(lstatSync(await store.catalog.mount("root")).mode & 0o7777, 0o751);
      await store.catalog.unmount("root");
      assert.deepEqual(await bytesOf(store.catalog.diff("root")), tar);
    });

    it("lookups by digest forget what is deleted, and damage elsewhere is not taken for children without parents", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      {
        await using store = await shelf.open({ driver });
        await store.catalog.put({ id: "parent", diff: streamOf(BASE) });
      }
      await using store = await scratch.open({ driver, readOnlyRoots: [shelf.root] });
      await store.catalog.put({ id: "child", parent: "parent", diff: streamOf(OTHER) });
      assert.deepEqual((await store.fsck({ depth: "contents", repair: "forced" })).findings, []);
      const ids = () => store.catalog.layersByCompressedDigest(digestOf(OTHER)).map(({ id }) => String(id));
      assert.deepEqual(ids(), ["child"]);
      await store.catalog.delete("child");
      assert.deepEqual(ids(), []);
    });

    it("data items do not fall together, and those of unknown layers are so", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      const keys = ["plain", "plain/", "/", "???", "Up", "UP", "=VXA="];
      for (const key of keys) await store.catalog.setBigData("base", key, streamOf(new TextEncoder().encode(key)));
      for (const key of keys) {
        assert.equal(new TextDecoder().decode(await bytesOf(store.catalog.bigData("base", key))), key);
      }
      assert.throws(() => store.catalog.bigDataNames("none"), /catalog record "none"/);
    });

    it("a name stays with its owner, and a layer has one diff", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "owner", names: ["name"], diff: streamOf(BASE) });
      await store.catalog.create({ id: "other" });
      await assert.rejects(store.catalog.addNames("other", ["name"]), { code: "CONFLICT" });
      await assert.rejects(store.catalog.applyDiff("owner", streamOf(OTHER)), { code: "CONFLICT" });
      await using again = await scratch.open({ driver });
      assert.equal(again.catalog.get("name").id, "owner");
      assert.deepEqual(await bytesOf(again.catalog.diff("owner")), BASE);
    });

    it("what is compared with must be there", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      await store.catalog.put({ id: "top", parent: "base", diff: streamOf(OTHER) });
      await assert.rejects(async () => await bytesOf(store.catalog.diff("top", "none")), { code: "NOT_FOUND" });
      await assert.rejects(async () => await store.catalog.changes("top", "none"), { code: "NOT_FOUND" });
      await assert.rejects(async () => await store.catalog.diffSize("top", "none"), { code: "NOT_FOUND" });
    });

    it("a tar that lacks something does not end as if it were whole", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      const [name = ""] = scratch.layerDirs(driver);
      const tree = driver === "vfs" ? join(scratch.root, "vfs/dir", name) : join(scratch.root, driver, name, "diff");
      rmSync(join(tree, "dir/base"));
      await assert.rejects(bytesOf(store.catalog.diff("base")), { code: "CORRUPT" });
      writeFileSync(join(tree, "dir/base"), "other");
      await assert.rejects(bytesOf(store.catalog.diff("base")), { code: "CORRUPT" });
    });

    it("mounts are what the kernel has", needsRoot, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      await assert.rejects(store.catalog.unmount("base"), { code: "NOT_FOUND" });
      const path = await store.catalog.mount("base");
      assert.equal(store.catalog.mounted("base"), 1);
      if (driver === "vfs") return await store.catalog.unmount("base").then(() => {});
      execFileSync("umount", [path]);
      assert.equal(store.catalog.mounted("base"), 0);
      await store.catalog.mount("base");
      assert.equal(store.catalog.mounted("base"), 1);
      assert.equal(await store.catalog.unmount("base"), 0);
      await assert.rejects(store.catalog.unmount("base"), { code: "NOT_FOUND" });
      assert.deepEqual(readdirSync(join(scratch.root, driver)).filter((name) => name.includes("merged")), []);
    });
  });
}

describe("what lies below a directory", () => {
  it("is not what only begins as its name does", needsRoot, () => {
    using scratch = new ScratchRoot();
    const [below, beside] = [join(scratch.dir, "ab/c"), join(scratch.dir, "abc")];
    for (const path of [below, beside]) {
      mkdirSync(path, { recursive: true });
      execFileSync("mount", ["-t", "tmpfs", "tmpfs", path]);
    }
    try {
      assert.deepEqual(mountsBelow(join(scratch.dir, "ab")).map(({ mountPoint }) => mountPoint), [below]);
    } finally {
      for (const path of [below, beside]) execFileSync("umount", [path]);
    }
  });
});
