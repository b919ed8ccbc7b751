// SPDX-License-Identifier: Apache-2.0
/**
 * Layers of stores that containers/storage has made are mounted and built upon where they are: the trees are those that the
 * tool itself mounts, and nothing below its root is touched.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { LayerStore } from "../../mod.ts";
import { file, layerTar, whiteout } from "../../src/testing/layer_builder.ts";
import { fill, MAPS } from "../support/containers_layers.ts";
import { ContainersTool } from "../support/containers_tool.ts";
import { needsPrograms, unlessMissing } from "../support/interop.ts";
import { bytesOf, streamOf } from "../support/scratch_store.ts";
import { differencesOf, listTree } from "../support/tree_listing.ts";

const needs = process.geteuid?.() === 0 ? needsPrograms("containers-storage") : unlessMissing("mounting needs root");
const MORE = layerTar([file("more", "more\n"), whiteout("cut/new")]);

for (const [driver, theirs] of [["overlay2", "overlay"], ["vfs", "vfs"]] as const) {
  describe(`layers of containers/storage (${theirs}) in a store of ${driver}`, needs, () => {
    it("show the tool's own trees, and are left as they were", async () => {
      using scratch = new Scratch();
      using tool = new ContainersTool(scratch.dir, theirs);
      fill(tool);
      const refs = ["base", "top", "container", ...theirs === "vfs" ? ["mapped-top"] : []];
      const expected = new Map(refs.map((ref) => [ref, shownByTool(tool, ref)]));
      const before = listingOf(tool.root);
      await using store = await open(scratch, driver, tool);
      for (const ref of refs) {
        const path = await store.catalog.mount(ref);
        // Of a layer that is mounted by itself all attributes are seen, the kernel's own among them.
        // The tool makes hard links of mapped layers anew, which changes the times of their directories.
        const differences = differencesOf(listTree(path), expected.get(ref)!).filter(({ attribute, theirs }) =>
          (attribute !== "xattrs" || theirs !== "") && (attribute !== "mtime" || !ref.startsWith("mapped"))
        );
        assert.equal(store.catalog.mounted(ref), 1);
        await store.catalog.unmount(ref);
        assert.deepEqual(differences, [], ref);
      }
      assert.deepEqual([store.layers().layers.size, store.rwLayers().mounts.size], [0, 0]);
      assert.deepEqual(changedLines(before, listingOf(tool.root)), []);
    });

    it("are parents of layers and writable layers here", async () => {
      using scratch = new Scratch();
      using tool = new ContainersTool(scratch.dir, theirs);
      fill(tool);
      tool.importLayer("mapped-alone", layerTar([file("alone", "alone\n")]), ...MAPS);
      const before = listingOf(tool.root);
      await using store = await open(scratch, driver, tool);
      const more = await store.catalog.put({ names: ["more"], parent: "top", diff: streamOf(MORE) });
      assert.equal(more.parent, "top");
      await store.catalog.create({ names: ["box"], parent: "more", access: "writable" });
      const path = await store.mount("box");
      assert.equal(readFileSync(join(path, "dir/kept"), "utf8"), "kept\n");
      assert.deepEqual([existsSync(join(path, "more")), existsSync(join(path, "cut/new"))], [true, false]);
      await store.unmount("box");
      assert.deepEqual(await bytesOf(store.catalog.diff("more")), MORE);
      assert.equal((await store.fsck({ depth: "contents" })).state, "clean");

      await store.catalog.put({
        names: ["on-mapped"],
        parent: "mapped-alone",
        diff: streamOf(MORE),
        idMappings: "host",
      });
      const mapped = await store.mount("on-mapped");
      assert.equal(
        lstatSync(join(mapped, "alone")).uid,
        0,
        "its owners are the archive's, as the store keeps its layers",
      );
      await store.unmount("on-mapped");
      await store.catalog.wipe();
      assert.equal(store.layers().layers.size, 0);
      assert.deepEqual(changedLines(before, listingOf(tool.root)), []);
    });
  });
}

class Scratch implements Disposable {
  readonly dir = mkdtempSync(`${existsSync("/dev/shm") ? "/dev/shm" : tmpdir()}/strata-cs-mounts-`);

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function open({ dir }: Scratch, driver: string, tool: ContainersTool): Promise<LayerStore> {
  const root = `${dir}/root`;
  return LayerStore.open({ root, runRoot: `${root}-run`, driver, durability: "none", readOnlyRoots: [tool.root] });
}

function shownByTool(tool: ContainersTool, ref: string) {
  const path = new TextDecoder().decode(tool.run("mount", ref)).trim();
  try {
    return listTree(path);
  } finally {
    tool.run("unmount", ref);
  }
}

function changedLines(before: string, after: string): string[] {
  const known = new Set(before.split("\n"));
  return after.split("\n").filter((line) => !known.has(line));
}

/** Names, kinds, sizes and times of all that is below a directory. */
function listingOf(path: string): string {
  return spawnSync("find", [path, "-printf", "%P %y %m %U:%G %s %n %T@ %C@\\n"], { maxBuffer: 1 << 28 }).stdout
    .toString();
}
