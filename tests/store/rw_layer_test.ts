// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, type Change, display, fromText, hasCode, type LayerStore } from "../../mod.ts";
import { PlainView } from "../../src/changeset/plain_view.ts";
import { type LayerPath, parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { dir, file, layerTar, opaque, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { listingOf } from "../../src/testing/tree_listing.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([
  dir("etc", { mode: 0o750 }),
  file("etc/motd", "hello\n"),
  file("etc/old", "to be removed\n"),
  dir("var"),
  file("var/kept", "as it was\n"),
  dir("opt"),
  file("opt/a", "a\n"),
  symlink("link", "etc/motd"),
]);
const BAD = layerTar([file("etc/motd", "from the archive\n"), file("new", "new\n".repeat(1000))]).subarray(0, 3000);
const isRoot = process.getuid?.() === 0;

for (const driver of DRIVERS) {
  describe(`writable layers on ${driver}`, () => {
    it("begin with the parent's tree, or with nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      const made = await store.createRWLayer("on-base", { parent });
      assert.deepEqual([made.name, made.parentChainId], ["on-base", parent]);
      await store.createRWLayer("alone");
      assert.equal(store.getRWLayer("alone").parentChainId, undefined);
      assert.deepEqual([...store.rwLayers().mounts.keys()], ["alone", "on-base"]);
      await mounted(store, "on-base", (path) => {
        assert.equal(readFileSync(join(path, "link"), "utf8"), "hello\n");
      });
      await mounted(store, "alone", (path) => {
        assert.equal(listing(path).length, 1);
        writeFileSync(join(path, "f"), "f");
      });
      await mounted(store, "alone", (path) => assert.equal(readFileSync(join(path, "f"), "utf8"), "f"));
    });

    it("do not take a name twice, nor one that cannot be used, nor an unknown parent", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("taken");
      await assert.rejects(store.createRWLayer("taken"), (error) => hasCode(error, "CONFLICT"));
      const both = await Promise.allSettled([store.createRWLayer("raced"), store.createRWLayer("raced")]);
      assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
      for (const name of ["", "..", "a/b", "-rf", ".hidden", "a\nb", "x".repeat(256)]) {
        await assert.rejects(store.createRWLayer(name), (error) => hasCode(error, "INVALID_ARGUMENT"), name);
      }
      const parent = `sha256:${"0".repeat(64)}` as ChainId;
      await assert.rejects(store.createRWLayer("orphan", { parent }), (error) => hasCode(error, "NOT_FOUND"));
      assert.throws(() => store.getRWLayer("orphan"), (error) => hasCode(error, "NOT_FOUND"));
      assert.equal(scratch.layerDirs(driver).length, 2);
    });

    it("count their mounts, for other processes too", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      const path = await store.mount("rw");
      assert.equal(await other.mount("rw"), path);
      assert.deepEqual(store.mounts().map(({ path, count }) => ({ path, count })), [{ path, count: 2 }]);
      assert.equal(await store.unmount("rw"), 1);
      assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "hello\n");
      assert.equal(await other.unmount(path), 0);
      assert.deepEqual(store.mounts(), []);
      await assert.rejects(store.unmount("rw"), (error) => hasCode(error, "NOT_FOUND"));
      await assert.rejects(store.unmount(path), (error) => hasCode(error, "NOT_FOUND"));
    });

    it("count mounts that are taken at the same time", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      await Promise.all([1, 2, 3, 4].map(() => store.mount("rw")));
      const left = await Promise.all([1, 2, 3, 4].map(() => store.unmount("rw")));
      assert.deepEqual(left.sort(), [0, 1, 2, 3]);
    });

    it("tell what they add, change and delete, and how many bytes that is", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      assert.deepEqual(await store.changes("rw"), []);
      assert.equal(await store.diffSize("rw"), 0);
      await mounted(store, "rw", edit);
      assert.deepEqual((await store.changes("rw")).map(asText), [
        "C ",
        "C etc",
        "C etc/motd",
        "A etc/new",
        "A etc/new-too",
        "D etc/old",
        "C opt",
        "D opt/a",
        "A opt/b",
        "A opt/sub",
        "A opt/sub/link",
      ]);
      // A hard link counts once; a symlink by the length of its target.
      assert.equal(await store.diffSize("rw"), "changed\n".length + "new\n".length + "b\n".length + "../b".length);
    });

    it("give the same tar each time", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      await mounted(store, "rw", edit);
      const first = await bytesOf(store.diff("rw"));
      assert(first.length > 512);
      assert.deepEqual(await bytesOf(store.diff("rw")), first);
    });

    it("become layers that show the same tree", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      await store.createRWLayer("rw", { parent });
      const before = await mounted(store, "rw", (path) => {
        edit(path);
        if (isRoot) editMetadata(path);
        return listing(path);
      });
      const tar = await bytesOf(store.diff("rw"));
      const layer = await store.commit("rw");
      assert.equal(layer.parentChainId, parent);
      assert.deepEqual(await bytesOf(store.export(layer.chainId)), tar);
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      assert.deepEqual(await mounted(store, layer.chainId, listing), before);
      assert.deepEqual(await mounted(store, "rw", listing), before, "the writable layer is as it was");
      await store.createRWLayer("next", { parent: layer.chainId });
      assert.deepEqual(await mounted(store, "next", listing), before);
      assert.deepEqual(await store.changes("next"), []);
    });

    it("become layers while they are mounted", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      const path = await store.mount("rw");
      edit(path);
      const layer = await store.commit("rw");
      assert.deepEqual(await mounted(store, layer.chainId, listing), listing(path));
      await store.unmount("rw");
    });

    for (const state of ["mounted", "not mounted"] as const) {
      it(`take a layer's tar in while ${state}`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        await store.createRWLayer("rw", { parent: await registerBase(store) });
        if (state === "mounted") await store.mount("rw");
        const tar = layerTar([file("etc/motd", "applied\n"), whiteout("etc/old"), opaque("opt"), file("opt/c", "c\n")]);
        assert.equal(await store.applyDiff("rw", streamOf(tar)), "applied\n".length + "c\n".length);
        await mounted(store, "rw", (path) => {
          const names = listing(path).map((line) => line.split(" ", 1)[0]);
          assert.deepEqual(names, ["/", "etc/", "etc/motd", "link", "opt/", "opt/c", "var/", "var/kept"]);
          assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "applied\n");
        });
        assert.equal(store.mounts().length, state === "mounted" ? 1 : 0);
        if (state === "mounted") await store.unmount("rw");
        assert.deepEqual(scratch.leftovers(), []);
      });
    }

    it("are not changed by a bad tar", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      const before = await mounted(store, "rw", listing);
      await assert.rejects(store.applyDiff("rw", streamOf(BAD)), (error) => hasCode(error, "INVALID_ARCHIVE"));
      assert.deepEqual(await mounted(store, "rw", listing), before);
      assert.deepEqual(await store.changes("rw"), []);
      assert.deepEqual([scratch.leftovers(), store.mounts()], [[], []]);
    });

    it("cancel a tar for a name that does not exist", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      let cancelled = false;
      const stream = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
      await assert.rejects(store.applyDiff("nobody", stream), (error) => hasCode(error, "NOT_FOUND"));
      assert(cancelled);
    });

    it("are not removed while mounted, unless that is asked for", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const parent = await registerBase(store);
      await store.createRWLayer("rw", { parent });
      const path = await store.mount("rw");
      await store.mount("rw");
      await assert.rejects(store.releaseRWLayer("rw"), (error) => {
        assert(hasCode(error, "IN_USE"));
        assert.deepEqual(error.detail.usedBy, ["2 mounts"]);
        return true;
      });
      assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "hello\n");
      assert.deepEqual(await store.releaseRWLayer("rw", { whenMounted: "unmount" }), []);
      assert.equal(store.rwLayers().mounts.size, 0);
      assert.deepEqual(store.mounts(), []);
      assert.equal(scratch.layerDirs(driver).length, 1, "the parent has a handle");
    });

    it("keep the layers below, which go with the last user", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(streamOf(BASE));
      await store.createRWLayer("one", { parent: base.chainId });
      await store.createRWLayer("two", { parent: base.chainId });
      assert.deepEqual(await store.release(base), []);
      assert.deepEqual(await store.releaseRWLayer("one"), []);
      const gone = await store.releaseRWLayer("two");
      assert.deepEqual(gone.map(({ chainId }) => chainId), [base.chainId]);
      assert.deepEqual(scratch.layerDirs(driver), []);
      await assert.rejects(store.releaseRWLayer("two"), (error) => hasCode(error, "NOT_FOUND"));
    });

    it("keep the layer below while they are being made", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(streamOf(BASE));
      const making = store.createRWLayer("rw", { parent: base.chainId });
      assert.deepEqual(await store.release(base), []);
      await making;
      await mounted(store, "rw", (path) => assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "hello\n"));
    });
  });
}

describe("a committed layer on overlay2", { skip: !isRoot && "mounting takes root" }, () => {
  it("cannot be written through its mount", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "overlay2" });
    const base = await registerBase(store);
    const top = await store.register(streamOf(layerTar([file("top", "top\n")])), { parent: base });
    for (const chainId of [base, top.chainId]) {
      await mounted(store, chainId, (path) => {
        for (const name of ["new", "etc/motd"]) {
          assert.throws(() => writeFileSync(join(path, name), "x"), { code: "EROFS" });
        }
      });
    }
    await store.createRWLayer("rw", { parent: base });
    const path = await store.mount("rw", { access: "read-only" });
    assert.equal(typeof path, "string");
    await store.unmount("rw");
  });
});

describe("the same edits on both drivers", { skip: !isRoot && "the overlay driver takes root" }, () => {
  it("give the same tar, byte for byte", async () => {
    const tars: Uint8Array[] = [];
    for (const driver of ["overlay2", "vfs"]) {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await store.createRWLayer("rw", { parent: await registerBase(store) });
      await mounted(store, "rw", (path) => {
        edit(path);
        editMetadata(path);
        setTimes(path);
      });
      tars.push(await bytesOf(store.diff("rw")));
    }
    assert.deepEqual(tars[0], tars[1]);
  });
});

async function registerBase(store: LayerStore): Promise<ChainId> {
  return (await store.register(streamOf(BASE))).chainId;
}

/** Runs `act` on a mounted tree. */
async function mounted<T>(store: LayerStore, ref: string, act: (path: string) => T): Promise<T> {
  const path = await store.mount(ref);
  try {
    return act(path);
  } finally {
    await store.unmount(ref);
  }
}

function edit(path: string): void {
  writeFileSync(join(path, "etc/motd"), "changed\n");
  writeFileSync(join(path, "etc/new"), "new\n");
  linkSync(join(path, "etc/new"), join(path, "etc/new-too"));
  rmSync(join(path, "etc/old"));
  rmSync(join(path, "opt"), { recursive: true });
  mkdirSync(join(path, "opt/sub"), { recursive: true, mode: 0o755 });
  chmodSync(join(path, "opt"), 0o755);
  chmodSync(join(path, "opt/sub"), 0o755);
  writeFileSync(join(path, "opt/b"), "b\n");
  symlinkSync("../b", join(path, "opt/sub/link"));
}

/** What only root may set, and what is easily lost: attributes of three namespaces, nanoseconds, the root's own. */
function editMetadata(path: string): void {
  using tree = RootedDir.open(path);
  const capability = Uint8Array.from([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  tree.setOwner(at("etc/new"), 12, 34);
  tree.setMode(at("etc/new"), 0o4755);
  tree.setXattr(at("etc/new"), fromText("security.capability"), capability);
  tree.setXattr(at("etc/new"), fromText("trusted.strata"), Uint8Array.from([0, 255, 10]));
  tree.setXattr(at("etc/motd"), fromText("user.note"), Uint8Array.from([200, 0, 61]));
  tree.setXattr(at("opt/sub"), fromText("user.dir"), new Uint8Array(0));
  const time = { sec: 1_234_567_890, nsec: 123_456_789 };
  tree.setTimes(at("etc/motd"), { atime: time, mtime: time });
  tree.setTimes(at("etc/new"), { atime: time, mtime: { sec: -5, nsec: 999_999_999 } });
  tree.setOwner(ROOT, 7, 8);
  tree.setMode(ROOT, 0o1777);
  tree.setXattr(ROOT, fromText("user.root"), Uint8Array.from([1]));
  tree.setTimes(ROOT, { atime: time, mtime: time });
}

/** Gives all objects the same time: the two drivers touch them at different moments. */
function setTimes(path: string): void {
  using tree = RootedDir.open(path);
  const time = { sec: 1, nsec: 0 };
  for (const line of listing(path)) tree.setTimes(at(line.split(" ", 1)[0] ?? ""), { atime: time, mtime: time });
}

function listing(path: string): readonly string[] {
  using view = new PlainView(RootedDir.open(path));
  return listingOf(view);
}

function at(path: string): LayerPath {
  return parseLayerPath(fromText(path));
}

function asText({ kind, path }: Change): string {
  return `${{ add: "A", modify: "C", delete: "D" }[kind]} ${display(path)}`;
}
