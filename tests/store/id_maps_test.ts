// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { chownSync, lstatSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { display, hasCode, type IdMappings, type LayerStore, parseIdMap } from "../../mod.ts";
import { dir, file, layerTar, symlink, whiteout } from "../../src/testing/layer_builder.ts";
import { IS_ROOT } from "../host/scratch.ts";
import { readMembers } from "../support/tar_reading.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const skip = IS_ROOT ? false : "only root may give files away";
const MAPS: IdMappings = { uids: parseIdMap("0:1000:65536"), gids: parseIdMap("0:2000:65536") };

const BASE = layerTar([
  dir("home", { mode: 0o755 }),
  dir("home/user", { uid: 1000, gid: 1000, mode: 0o2750 }),
  file("home/user/f", "hello\n", { uid: 1000, gid: 1000, mode: 0o4755 }),
  file("x", "one letter\n"),
  symlink("link", "home/user/f", { uid: 1000 }),
]);
const TOP = layerTar([whiteout("x"), file("implied/dir/f", "", { gid: 5 })]);

async function registerBoth(store: LayerStore) {
  const base = await store.register(streamOf(BASE));
  return await store.register(streamOf(TOP), { parent: base.chainId });
}

/** Changes as `diff` prints them. */
function lines(changes: Iterable<{ kind: string; path: Parameters<typeof display>[0] }>): string[] {
  return Array.from(changes, ({ kind, path }) => `${kind} /${display(path)}`);
}

for (const driver of DRIVERS) {
  describe(`id maps on ${driver}`, { skip }, () => {
    it("of a whole store show on disk, and neither in archives nor in what is committed", async () => {
      using scratch = new ScratchRoot();
      using plain = new ScratchRoot();
      await using store = await scratch.open({ driver, idMappings: MAPS });
      await using reference = await plain.open({ driver });
      const layer = await registerBoth(store);
      await registerBoth(reference);
      assert.deepEqual(await bytesOf(layer.tarStream()), TOP);
      const tars: Uint8Array[] = [];
      for (const [opened, uid, gid] of [[store, 1000, 2000], [reference, 0, 0]] as const) {
        const rw = await opened.createRWLayer("c", { parent: layer.chainId });
        const path = await rw.mount();
        assert.equal(lstatSync(join(path, "home/user/f")).uid, uid + 1000);
        assert.equal(lstatSync(join(path, "implied/dir")).gid, gid);
        writeFileSync(join(path, "made"), "made\n");
        chownSync(join(path, "made"), uid + 7, gid + 7);
        for (const name of ["made", ""]) utimesSync(join(path, name), 1, 1);
        await rw.unmount();
        assert.deepEqual(lines(await rw.changes()), ["modify /", "add /made"]);
        tars.push(await bytesOf(rw.tarStream()));
        const made = readMembers(tars.at(-1)!).find(({ entry }) => entry.name === "made");
        assert.deepEqual([made?.entry.uid, made?.entry.gid], [7, 7]);
      }
      assert.deepEqual(tars[0], tars[1]);
    });

    it("of one writable layer are applied to layers with their archives' owners, the init layer's work too", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const layer = await registerBoth(store);
      const initFunction = (path: string) => {
        writeFileSync(join(path, "etc"), "");
        chownSync(join(path, "etc"), 1000, 2000);
      };
      const rw = await store.createRWLayer("c", { parent: layer.chainId, idMappings: MAPS, initFunction });
      const path = await rw.mount();
      for (
        const [name, uid, gid] of [["home/user/f", 2000, 3000], ["implied/dir/f", 1000, 2005], [
          "etc",
          1000,
          2000,
        ]] as const
      ) {
        assert.deepEqual([lstatSync(join(path, name)).uid, lstatSync(join(path, name)).gid], [uid, gid], name);
      }
      assert.equal(lstatSync(join(path, "home/user/f")).mode & 0o7777, 0o4755);
      writeFileSync(join(path, "home/user/new"), "");
      chownSync(join(path, "home/user/new"), 2000, 3000);
      await rw.unmount();
      assert.deepEqual(lines(await rw.changes()), ["modify /home", "modify /home/user", "add /home/user/new"]);
      const diff = layerTar([file("applied", "", { uid: 3, gid: 4 }), whiteout("implied")]);
      await rw.applyDiff(streamOf(diff));
      const again = await rw.mount();
      assert.deepEqual([lstatSync(join(again, "applied")).uid, lstatSync(join(again, "applied")).gid], [1003, 2004]);
      await rw.unmount();
      const committed = await store.commit("c");
      const other = await store.createRWLayer("d", { parent: committed.chainId });
      const shown = await other.mount();
      assert.equal(lstatSync(join(shown, "applied")).uid, 3);
      assert.equal(lstatSync(join(shown, "home/user/new")).uid, 1000);
      await other.unmount();
    });

    it("that lack an owner of the archive are refused, and nothing is left", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver, idMappings: { uids: parseIdMap("0:1000:10"), gids: [] } });
      const refused = await store.register(streamOf(BASE)).catch((error: unknown) => error);
      assert.ok(hasCode(refused, "INVALID_ARGUMENT"), String(refused));
      assert.match(refused.message, /home\/user/);
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });
  });
}
