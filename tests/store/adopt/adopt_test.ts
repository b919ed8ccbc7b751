// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { type AdoptStep, hasCode, type LayerStore } from "../../../mod.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { traceOf } from "../../support/trace.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/gone", "gone\n"), symlink("link", "etc")]);
const TOP = layerTar([file("top", "top\n"), whiteout("etc/gone"), file("link/through", "1")]);
const MORE = layerTar([file("more", "more\n")]);
const CONTENT_BYTES = "hello\ngone\n".length + "top\n1".length;
const NOTE = new TextEncoder().encode("kept\n");

for (const driver of DRIVERS) {
  for (const other of DRIVERS) {
    describe(`adopting into ${driver} from ${other}`, () => {
      it("copies records with all that is theirs, each layer once, and leaves the other root alone", async () => {
        using shelf = new ScratchRoot();
        using scratch = new ScratchRoot();
        await fillShelf(shelf, other);
        const before = traceOf(shelf.root);
        const steps: AdoptStep[] = [];
        let bytes = 0;
        await using store = await scratch.open({ driver });
        const report = await store.adopt({
          from: shelf.root,
          refs: "all",
          onStep: (step) => steps.push(step),
          onProgress: (event) => bytes += event.bytes,
        });
        assert.deepEqual(traceOf(shelf.root), before);
        assert.deepEqual(report.adopted.map(({ id, names, droppedNames }) => [id, names, droppedNames]), [
          ["base-id", ["base"], []],
          ["top-id", ["top", "second"], []],
        ]);
        assert.deepEqual(report.skipped.map(({ id }) => id), ["work-id"]);
        assert.deepEqual([report.present, report.failed], [[], []]);
        assert.deepEqual(steps.map(({ kind, id }) => [kind, id]), [
          ["adopted", "base-id"],
          ["adopted", "top-id"],
          ["skipped", "work-id"],
        ]);
        assert.equal(report.bytesShared + report.bytesCopied, CONTENT_BYTES);
        assert(bytes > 0);
        rmSync(shelf.dir, { recursive: true });
        const top = store.catalog.get("second");
        assert.deepEqual([top.parent, top.metadata, top.flags], ["base-id", "of the shelf", { kept: [1, "a"] }]);
        assert.deepEqual(await bytesOf(store.catalog.bigData("top", "a/note")), NOTE);
        assert.equal(store.layers().layers.size, 2);
        assert.deepEqual(await bytesOf(store.catalog.diff("base")), BASE);
        assert.deepEqual(await bytesOf(store.catalog.diff("top")), TOP);
        await requireSound(store, scratch);
        const path = await store.mount("top");
        assert.deepEqual(readdirSync(join(path, "etc")).sort(), ["motd", "through"]);
        await store.unmount("top");
      });
    });
  }

  describe(`adopting into ${driver}`, () => {
    it("tells what is here already, and what is taken", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      await using store = await scratch.open({ driver });
      await store.catalog.put({ id: "own", names: ["second"], diff: streamOf(MORE) });
      await store.catalog.put({ id: "base-id", diff: streamOf(MORE) });
      const first = await store.adopt({ from: shelf.root, refs: "all" });
      assert.deepEqual(first.adopted.map(({ id, names, droppedNames }) => [id, names, droppedNames]), [
        ["top-id", ["top"], ["second"]],
      ]);
      assert.deepEqual(first.failed.map(({ id, error }) => [id, error.code]), [["base-id", "CONFLICT"]]);
      assert.equal(store.catalog.get("second").id, "own");
      const again = await store.adopt({ from: shelf.root, refs: ["top", "top-id"] });
      assert.deepEqual(again.present.map(({ id }) => id), ["top-id"]);
      assert.deepEqual([again.adopted, again.bytesShared, again.bytesCopied], [[], 0, 0]);
      await requireSound(store, scratch);
    });

    it("copies layers that no record stands for, under their digits", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await using other = await shelf.open({ driver });
      const base = await other.register(streamOf(BASE));
      const { chainId } = await other.register(streamOf(TOP), { parent: base.chainId });
      await using store = await scratch.open({ driver });
      const { adopted } = await store.adopt({ from: shelf.root, refs: "all" });
      assert.deepEqual(adopted.map(({ id, names }) => [id, names]), [[chainId.slice("sha256:".length), []]]);
      assert.deepEqual(await bytesOf(store.catalog.diff(adopted[0]!.id)), TOP);
      const one = await store.adopt({ from: shelf.root, refs: [base.chainId] });
      assert.deepEqual(one.adopted.map((record) => record.chainId), [base.chainId]);
      assert.deepEqual([one.bytesShared, one.bytesCopied], [0, 0]);
      await requireSound(store, scratch);
    });

    it("makes a layer of what a writable one changes", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      await using store = await scratch.open({ driver });
      const { adopted } = await store.adopt({ from: shelf.root, refs: ["work"] });
      assert.deepEqual(adopted.map(({ id, names }) => [id, names]), [["work-id", ["work"]]]);
      const entry = store.catalog.get("work");
      assert.equal(entry.parent, "top-id");
      assert.deepEqual((await store.changes("work")).map(({ kind, path }) => `${kind} ${path}`), [
        "modify ",
        "add written",
      ]);
      assert.equal(store.layers().layers.size, 3);
      const { present } = await store.adopt({ from: shelf.root, refs: ["work"] });
      assert.deepEqual(present.map(({ id }) => id), ["work-id"]);
      await requireSound(store, scratch);
    });

    it("gives stand-ins files of their own, in their places", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      const before = traceOf(shelf.root);
      await using store = await scratch.open({ driver, readOnlyRoots: [shelf.root] });
      await store.catalog.put({ names: ["more"], parent: "top", diff: streamOf(MORE) });
      await store.catalog.create({ names: ["mine"], parent: "top", access: "writable" });
      const placeOf = () => [...store.layers().layers.values()].map(({ cacheId }) => cacheId).sort();
      const places = placeOf();
      const path = await store.catalog.mount("mine");
      writeFileSync(join(path, "new"), "new");
      const busy = await store.adopt({ from: shelf.root, refs: ["base", "top"] });
      if (driver === "overlay2") {
        assert.deepEqual(busy.failed.map(({ id, error }) => [id, error.code]), [
          ["base-id", "IN_USE"],
          ["top-id", "IN_USE"],
        ]);
        const error = busy.failed[0]?.error;
        assert(hasCode(error, "IN_USE") && error.detail.usedBy.some((user) => user.includes(path)));
      }
      await store.catalog.unmount("mine");
      const { failed, adopted, present, bytesCopied, bytesShared } = await store.adopt({
        from: shelf.root,
        refs: ["base", "top"],
      });
      assert.deepEqual(failed, []);
      assert.equal(adopted.length + present.length, 2);
      if (driver === "overlay2") assert.equal(bytesCopied + bytesShared, CONTENT_BYTES);
      assert.deepEqual(traceOf(shelf.root), before);
      assert.deepEqual(placeOf(), places);
      assert.deepEqual([...store.layers().layers.values()].filter(({ outside }) => outside !== undefined), []);
      rmSync(shelf.dir, { recursive: true });
      assert.deepEqual(await bytesOf(store.catalog.diff("more")), MORE);
      assert.deepEqual(readdirSync(await store.catalog.mount("mine")).sort(), ["etc", "link", "new", "top"]);
      await store.catalog.unmount("mine");
    });

    it("refuses what is damaged, leaves nothing of it, and goes on", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await fillShelf(shelf, driver);
      {
        await using other = await shelf.open({ driver });
        await other.catalog.put({ id: "whole", diff: streamOf(MORE) });
        const dir = other.differTarget("top-id");
        writeFileSync(join(dir, "top"), "TOP\n");
      }
      await using store = await scratch.open({ driver });
      const report = await store.adopt({ from: shelf.root, refs: ["top", "base", "whole"] });
      assert.deepEqual(report.failed.map(({ id, error }) => [id, error.code]), [["top-id", "CORRUPT"]]);
      assert.match(report.failed[0]!.error.message, /top/);
      assert.deepEqual(report.adopted.map(({ id }) => id), ["base-id", "whole"]);
      assert.equal(store.layers().layers.size, 2);
      assert.equal(scratch.layerDirs(driver).length, 2);
      await requireSound(store, scratch);
    });

    it("shows records under ids of their own as there", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      const maps = [{ containerId: 0, hostId: 100_000, size: 65_536 }];
      await fillShelf(shelf, driver);
      {
        await using other = await shelf.open({ driver });
        const idMappings = { uids: maps, gids: maps };
        if (process.getuid?.() !== 0) return;
        await other.catalog.create({ id: "mapped", template: "top", idMappings });
      }
      await using store = await scratch.open({ driver });
      await store.adopt({ from: shelf.root, refs: ["mapped"] });
      const entry = store.catalog.get("mapped");
      assert.deepEqual([entry.uidMap, entry.gidMap], [maps, maps]);
      assert.deepEqual(await bytesOf(store.catalog.diff("mapped")), TOP);
      await store.catalog.delete("mapped");
      assert.deepEqual(scratch.layerDirs(driver), []);
    });
  });
}

describe("adopting", () => {
  it("says what it cannot find before anything is done", async () => {
    using shelf = new ScratchRoot();
    using scratch = new ScratchRoot();
    await fillShelf(shelf, "vfs");
    await using store = await scratch.open({ driver: "vfs" });
    const empty = join(scratch.dir, "empty");
    mkdirSync(empty);
    const failing = (from: string, ...refs: string[]) => store.adopt({ from, refs });
    await assert.rejects(failing(join(empty, "none")), (error) => hasCode(error, "NOT_FOUND"));
    await assert.rejects(failing(empty), (error) => hasCode(error, "NOT_FOUND"));
    await assert.rejects(failing(scratch.root), (error) => hasCode(error, "INVALID_ARGUMENT"));
    await assert.rejects(failing(shelf.root, "top", "nothing"), (error) => hasCode(error, "NOT_FOUND"));
    assert.equal(store.layers().layers.size, 0);
  });

  it("brings each record once, however many adopt at once", async () => {
    using shelf = new ScratchRoot();
    using scratch = new ScratchRoot();
    await fillShelf(shelf, "vfs");
    await using one = await scratch.open({ driver: "vfs" });
    await using other = await scratch.open({ driver: "vfs" });
    const reports = await Promise.all([one, other, one].map((store) => store.adopt({ from: shelf.root, refs: "all" })));
    assert.deepEqual(reports.flatMap(({ failed }) => failed), []);
    assert.deepEqual(reports.flatMap(({ adopted }) => adopted.map(({ id }) => id)).sort(), ["base-id", "top-id"]);
    assert.equal(reports.flatMap(({ present }) => present).length, 4);
    assert.equal(one.layers().layers.size, 2);
    await requireSound(one, scratch);
  });

  it("leaves a whole store when it is given up", async () => {
    using shelf = new ScratchRoot();
    using scratch = new ScratchRoot();
    await fillShelf(shelf, "vfs");
    await using store = await scratch.open({ driver: "vfs" });
    for (const event of ["progress", "step"] as const) {
      const stop = new AbortController();
      const abort = (): void => stop.abort();
      const hooks = event === "progress" ? { onProgress: abort } : { onStep: abort };
      await assert.rejects(
        store.adopt({ from: shelf.root, refs: "all", signal: stop.signal, ...hooks }),
        (error) => hasCode(error, "ABORTED"),
      );
      assert.equal(store.layers().layers.size, event === "progress" ? 0 : 1);
      await requireSound(store, scratch);
    }
    const { adopted, present } = await store.adopt({ from: shelf.root, refs: "all" });
    assert.deepEqual([adopted.map(({ id }) => id), present.map(({ id }) => id)], [["top-id"], ["base-id"]]);
  });
});

async function fillShelf(shelf: ScratchRoot, driver: string): Promise<void> {
  await using store = await shelf.open({ driver });
  await store.catalog.put({ id: "base-id", names: ["base"], diff: streamOf(BASE) });
  await store.catalog.put({
    id: "top-id",
    names: ["top", "second"],
    parent: "base",
    diff: streamOf(TOP),
    metadata: "of the shelf",
    flags: { kept: [1, "a"] },
    bigData: new Map([["a/note", NOTE]]),
  });
  await store.catalog.create({ id: "work-id", names: ["work"], parent: "top", access: "writable" });
  writeFileSync(join(await store.catalog.mount("work"), "written"), "written\n");
  await store.catalog.unmount("work");
}

/** Nothing is damaged, nothing is left over, and every layer can be given back. */
async function requireSound(store: LayerStore, scratch: ScratchRoot): Promise<void> {
  assert.deepEqual(scratch.leftovers(), []);
  assert.deepEqual((await store.fsck({})).findings.map(({ problem }) => problem), []);
  assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
  for (const chainId of store.layers().layers.keys()) assert.equal((await store.verify(chainId)).state, "ok");
}
