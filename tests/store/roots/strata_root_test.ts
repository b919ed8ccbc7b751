// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { display, hasCode, type LayerStore } from "../../../mod.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/gone", "gone\n"), symlink("link", "etc")]);
const TOP = layerTar([file("top", "top\n"), whiteout("etc/gone")]);
const MORE = layerTar([file("more", "more\n"), whiteout("top")]);

for (const driver of DRIVERS) {
  describe(`a store's root that is only read, on ${driver}`, () => {
    it("is looked up after the own root", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      await using store = await openOn(scratch, shelf, driver);
      const own = await store.catalog.put({ id: "own", names: ["base"], diff: streamOf(TOP) });
      assert.deepEqual(store.catalog.layers().map(({ id, root }) => [id, root]), [
        ["own", undefined],
        ["base-id", shelf.root],
        ["top-id", shelf.root],
      ]);
      assert.equal(store.catalog.get("base").id, own.id, "the own name hides the other");
      const top = store.catalog.get("top");
      assert.equal(top.metadata, "of the shelf");
      assert.deepEqual([top.parent, top.root, top.mountCount], ["base-id", shelf.root, 0]);
      assert.equal(await textOf(store.catalog.bigData("top", "note")), "kept\n");
      assert.deepEqual(await bytesOf(store.catalog.diff("top")), TOP);
      assert.deepEqual(await listed(store.catalog.changes("top-")), await listed(store.changes("top-id")));
      const chainId = store.resolveChain("top");
      assert.deepEqual(await bytesOf(store.export(chainId)), TOP);
      assert.equal((await store.verify(chainId)).state, "ok");
      const inspection = store.inspect("top");
      assert.equal(inspection.root, shelf.root);
      assert.equal(store.layers().layers.size, 1, "nothing was copied");
    });

    it("refuses every change, and names the remedy", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      await using store = await openOn(scratch, shelf, driver);
      const { catalog } = store;
      const value = () => streamOf(new Uint8Array(1));
      for (
        const change of [
          () => catalog.setNames("top", ["other"]),
          () => catalog.setMetadata("top", "other"),
          () => catalog.setFlag("top", "flag", true),
          () => catalog.setBigData("top", "note", value()),
          () => catalog.applyDiff("top", value()),
          () => catalog.delete("top"),
        ]
      ) {
        await assert.rejects(change, (error) => hasCode(error, "NOT_PERMITTED") && /strata adopt/.test(error.message));
      }
    });

    it("gives parents and mounts, and is never written", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      const before = listingOf(shelf.root);
      await using store = await openOn(scratch, shelf, driver);
      const path = await store.catalog.mount("top");
      assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "hello\n");
      assert.throws(() => lstatSync(join(path, "etc/gone")));
      assert.deepEqual([store.catalog.mounted("top"), store.catalog.mounted("base")], [1, 0]);
      assert.equal(store.catalog.get("top").mountPoint, path);
      assert.equal(await store.catalog.unmount("top"), 0);
      assert.equal(store.layers().layers.size, 0, "what stood for the layers went with the mount");
      await assert.rejects(store.catalog.unmount("top"), (error) => hasCode(error, "NOT_FOUND"));

      const more = await store.catalog.put({ names: ["more"], parent: "top", diff: streamOf(MORE) });
      assert.equal(more.parent, "top-id");
      const work = await store.catalog.create({ names: ["work"], parent: "more", access: "writable" });
      const tree = await store.catalog.mount("work");
      assert.deepEqual(readdirSync(tree).sort(), ["etc", "link", "more"]);
      writeFileSync(join(tree, "etc/motd"), "changed\n");
      mkdirSync(join(tree, "new"));
      await store.catalog.unmount("work");
      assert.deepEqual(await listed(store.catalog.changes(work.id)), [
        "modify ",
        "modify etc",
        "modify etc/motd",
        "add new",
      ]);
      assert.deepEqual(await bytesOf(store.catalog.diff("more")), MORE);
      assert.deepEqual(listingOf(shelf.root), before);
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
      assert.equal((await store.fsck({})).findings.length, 0);

      await store.catalog.delete("work");
      await store.catalog.delete("more");
      assert.equal(store.layers().layers.size, 0);
      assert.deepEqual(scratch.layerDirs(driver), []);
      assert.deepEqual(listingOf(shelf.root), before);
    });

    it("has its writable layers mounted for reading", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      {
        await using store = await shelf.open({ driver });
        await store.catalog.put({ id: "box", parent: "top", access: "writable", diff: streamOf(MORE) });
      }
      const before = listingOf(shelf.root);
      await using store = await openOn(scratch, shelf, driver);
      assert.deepEqual(await listed(store.catalog.changes("box")), ["add more", "delete top"]);
      const path = await store.catalog.mount("box");
      assert.equal(await store.mount("box"), path);
      assert.deepEqual(readdirSync(path).sort(), ["etc", "link", "more"]);
      assert.equal(store.catalog.mounted("box"), 2);
      assert.equal(store.catalog.get("box").mountPoint, path);
      if (driver === "overlay2") assert.throws(() => writeFileSync(join(path, "more"), "changed"));
      assert.deepEqual(await store.catalog.recover(), [], "what is mounted is needed");
      assert.equal(await store.unmount("box"), 1);
      assert.equal(await store.catalog.unmount("box"), 0);
      assert.deepEqual([store.rwLayers().mounts.size, store.layers().layers.size], [0, 0]);
      assert.deepEqual(scratch.layerDirs(driver), []);
      assert.deepEqual(listingOf(shelf.root), before);
    });

    it("is missed when it is not given, and the layer says what is missing", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      {
        await using store = await openOn(scratch, shelf, driver);
        await store.catalog.put({ names: ["more"], parent: "top", diff: streamOf(MORE) });
      }
      await using store = await scratch.open({ driver });
      assert.deepEqual(await bytesOf(store.catalog.diff("more")), MORE);
      rmSync(shelf.root, { recursive: true });
      const findings = (await store.fsck({})).findings.map(({ path, problem }) => `${path} ${problem}`);
      assert(findings.some((finding) => finding.includes(shelf.root)), findings.join("\n"));
    });
  });
}

describe("a further root", () => {
  it("must be a store's, and another's", async () => {
    using scratch = new ScratchRoot();
    const empty = join(scratch.dir, "empty");
    mkdirSync(empty);
    await (await scratch.open({ driver: "vfs" })).close();
    const opening = (path: string) => scratch.open({ driver: "vfs", readOnlyRoots: [path] });
    await assert.rejects(opening(join(empty, "none")), (error) => hasCode(error, "NOT_FOUND"));
    await assert.rejects(opening(empty), (error) => hasCode(error, "INVALID_ARGUMENT"));
    await assert.rejects(opening(scratch.root), (error) => hasCode(error, "INVALID_ARGUMENT"));
  });
});

async function fillShelf(shelf: ScratchRoot, driver: string): Promise<void> {
  await using store = await shelf.open({ driver });
  await store.catalog.put({ id: "base-id", names: ["base"], diff: streamOf(BASE) });
  await store.catalog.put({
    id: "top-id",
    names: ["top"],
    parent: "base",
    diff: streamOf(TOP),
    metadata: "of the shelf",
    bigData: new Map([["note", new TextEncoder().encode("kept\n")]]),
  });
}

function openOn(scratch: ScratchRoot, shelf: ScratchRoot, driver: string): Promise<LayerStore> {
  return scratch.open({ driver, readOnlyRoots: [shelf.root] });
}

async function listed(changes: Promise<readonly { kind: string; path: string }[]>): Promise<string[]> {
  return (await changes).map(({ kind, path }) => `${kind} ${display(path as never)}`);
}

async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await bytesOf(stream));
}

/** Names, times and sizes of all that lies below. */
function listingOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const { mtimeMs, ctimeMs, size, mode } = lstatSync(join(root, name));
    return [name, mtimeMs, ctimeMs, size, mode].join(" ");
  });
}
