// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { type ChainId, isStrataError, type LayerStore } from "../../../mod.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { changedPaths, changeListing } from "../../support/change_listing.ts";
import { makeFifo, SECRET } from "../../support/made_root.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([file("base", "base\n")]);
const TOP = layerTar([file("top", "top\n")]);
const SOUND = layerTar([file("sound", "sound\n")]);

for (const driver of DRIVERS) {
  describe(`a hostile root of a store's with ${driver}`, () => {
    let shelf: ScratchRoot;
    let scratch: ScratchRoot;
    let outside = "";
    let [base, top]: (ChainId | undefined)[] = [];
    beforeEach(async () => {
      [shelf, scratch] = [new ScratchRoot(), new ScratchRoot()];
      outside = join(realpathSync(shelf.dir), "outside");
      mkdirSync(outside);
      for (const name of ["base", "top", "secret"]) writeFileSync(join(outside, name), SECRET);
      await using store = await shelf.open({ driver });
      const record = await store.catalog.put({ id: "base-id", diff: streamOf(BASE) });
      base = store.resolveChain("base-id");
      await store.catalog.setBigData(record.id, "note", streamOf(new TextEncoder().encode("kept")));
      await store.catalog.put({ id: "top-id", parent: "base-id", diff: streamOf(TOP) });
      top = store.resolveChain("top-id");
      await store.catalog.put({ id: "sound-id", diff: streamOf(SOUND) });
    });
    afterEach(() => {
      shelf[Symbol.dispose]();
      scratch[Symbol.dispose]();
    });

    const recordDir = (chainId: ChainId | undefined) =>
      join(shelf.root, `image/${driver}/layerdb/sha256`, chainId!.slice("sha256:".length));
    const treeOf = (chainId: ChainId | undefined) => {
      const cacheId = readFileSync(join(recordDir(chainId), "cache-id"), "utf8");
      return driver === "vfs" ? join(shelf.root, "vfs/dir", cacheId) : join(shelf.root, driver, cacheId, "diff");
    };
    const open = () => scratch.open({ driver, readOnlyRoots: [shelf.root] });

    /** The other layer is there as before, and what is tried with the spoilt one fails in the package's words. */
    async function askAll(store: LayerStore, chainId: ChainId | undefined): Promise<string[]> {
      assert.deepEqual(await bytesOf(store.catalog.diff("sound-id")), SOUND);
      const words: string[] = [];
      for (
        const ask of [
          () => bytesOf(store.export(chainId!)),
          () => store.verify(chainId!),
          () => store.changes(chainId!),
          async () => store.catalog.delete((await store.catalog.create({ parent: chainId!, access: "writable" })).id),
          async () => {
            await store.catalog.mount("base-id");
            await store.catalog.unmount("base-id");
          },
        ]
      ) {
        try {
          words.push(inspect(await ask(), { depth: 8 }));
        } catch (error) {
          assert(isStrataError(error), inspect(error));
          words.push(inspect(error, { depth: 8 }));
        }
      }
      assert(words.every((word) => !word.includes(SECRET)), words.join("\n"));
      return words;
    }

    it("has layers that lead out of it, noted or not", async () => {
      const tree = treeOf(base);
      for (const target of [outside, "/", "../../../outside"]) {
        for (const note of driver === "vfs" ? [undefined] : [undefined, target]) {
          rmSync(tree, { recursive: true });
          symlinkSync(target, tree);
          const noteFile = join(tree, "../outside");
          if (note !== undefined) writeFileSync(noteFile, note);
          {
            await using store = await open();
            const words = await askAll(store, base);
            assert.equal(words.filter((word) => word.includes("CORRUPT")).length, words.length, words.join("\n\n"));
            assert.deepEqual([store.layers().layers.size, scratch.layerDirs(driver)], [0, []]);
          }
          rmSync(noteFile, { force: true });
        }
      }
    });

    it("has records that are none", async () => {
      const dir = recordDir(base);
      const kept = join(shelf.dir, "kept");
      cpSync(dir, kept, { recursive: true });
      const spoilt: Record<string, () => void> = {
        "a cache id that leads out": () => writeFileSync(join(dir, "cache-id"), "../../outside"),
        "no cache id": () => rmSync(join(dir, "cache-id")),
        "a fifo as cache id": () => makeFifo(join(dir, "cache-id")),
        "a secret as cache id": () => {
          rmSync(join(dir, "cache-id"));
          symlinkSync(join(outside, "secret"), join(dir, "cache-id"));
        },
        "itself as parent": () => writeFileSync(join(dir, "parent"), base!),
        "its child as parent": () => writeFileSync(join(dir, "parent"), top!),
        "a fifo as parent": () => makeFifo(join(dir, "parent")),
        "a fifo as tar-split": () => makeFifo(join(dir, "tar-split.json.gz")),
        "a directory as diff": () => {
          rmSync(join(dir, "diff"));
          mkdirSync(join(dir, "diff"));
        },
        "a huge size": () => writeFileSync(join(dir, "size"), "9".repeat(400)),
        "a fifo as strata.json": () => makeFifo(join(dir, "strata.json")),
        "a link to elsewhere": () => {
          rmSync(dir, { recursive: true });
          symlinkSync(outside, dir);
        },
        "a fifo": () => makeFifo(dir),
      };
      for (const [what, spoil] of Object.entries(spoilt)) {
        spoil();
        await using store = await open();
        const words = await askAll(store, base);
        const isOptional = what === "a fifo as strata.json";
        assert(isOptional || words.some((word) => /StrataError|bad/.test(word)), `${what}: ${words.join("\n")}`);
        rmSync(dir, { recursive: true });
        cpSync(kept, dir, { recursive: true });
      }
      await using store = await open();
      assert.deepEqual(await bytesOf(store.export(base!)), BASE);
    });

    it("has catalog records and data items that are none", async () => {
      const catalog = join(shelf.root, `image/${driver}/strata/catalog`);
      const record = join(catalog, "records/base-id.json");
      const items = join(catalog, "data/base-id");
      const [item = ""] = readdirSync(items);
      const spoilt: Record<string, (path: string) => void> = {
        fifo: makeFifo,
        secret: (path) => symlinkSync(join(outside, "secret"), path),
        directory: (path) => mkdirSync(path),
        torn: (path) => writeFileSync(path, "{"),
        "another's": (path) => writeFileSync(path, SECRET),
      };
      for (const [what, spoil] of Object.entries(spoilt)) {
        for (const path of [record, join(items, item)]) {
          renameSync(path, `${shelf.dir}/aside`);
          spoil(path);
          {
            await using store = await open();
            const read = async () => await bytesOf(store.catalog.bigData("base-id", "note"));
            const shown: Uint8Array[] = [];
            await assert.rejects(async () => shown.push(await read()), { code: "CORRUPT" }, `${what} as ${path}`);
            const ids = store.catalog.layers().map(({ id }) => String(id)).filter((id) => id !== "base-id");
            assert.deepEqual(ids.sort(), ["sound-id", "top-id"]);
            await askAll(store, base);
          }
          rmSync(path, { recursive: true });
          renameSync(`${shelf.dir}/aside`, path);
        }
      }
    });

    it("is not completed, whatever it lacks", async () => {
      for (const name of ["strata", `${driver}/l`, `image/${driver}/layerdb/mounts`]) {
        rmSync(join(shelf.root, name), { recursive: true, force: true });
      }
      const before = changeListing(shelf.root);
      {
        await using store = await open();
        assert.equal((await store.verify(base!)).state, "ok");
        const writable = await store.catalog.create({ parent: base!, access: "writable" });
        await store.catalog.delete(writable.id);
      }
      assert.deepEqual(changedPaths(before, changeListing(shelf.root)), []);
    });

    it("goes on in another one that was given, and not in one that was not", async () => {
      using second = new ScratchRoot();
      {
        await using store = await second.open({ driver, readOnlyRoots: [shelf.root] });
        await store.catalog.put({ id: "above-id", parent: "base-id", diff: streamOf(TOP) });
      }
      {
        await using store = await scratch.open({ driver, readOnlyRoots: [second.root, shelf.root] });
        assert.equal((await store.verify(base!)).state, "ok");
        assert.equal((await store.verify(store.resolveChain("above-id"))).state, "ok");
      }
      await using store = await scratch.open({ driver, readOnlyRoots: [second.root] });
      const result = await store.verify(base!);
      assert(result.state === "bad" && /give the store that it leads to/.test(inspect(result.error)), inspect(result));
    });

    it("is replaced under a stand-in by a symlink", async () => {
      await using store = await open();
      await store.catalog.create({ id: "own", parent: base!, access: "writable" });
      const tree = treeOf(base);
      renameSync(tree, `${tree}-aside`);
      symlinkSync("/", tree);
      // A layer of vfs is a copy, and needs nothing of the other store any more.
      if (driver !== "vfs") await assert.rejects(store.catalog.mount("own"), { code: "CORRUPT" });
      await assert.rejects(async () => await store.changes(base!), { code: "CORRUPT" });
      assert(!existsSync(join(scratch.root, "merged")));
      rmSync(tree);
      renameSync(`${tree}-aside`, tree);
      assert.equal((await store.verify(base!)).state, "ok");
    });
  });
}
