// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { hasCode } from "../../../../src/core/errors.ts";
import { randomCacheId } from "../../../../src/core/ids.ts";
import { chooseDriver, openDriver } from "../../../../src/driver/registry.ts";
import { findMountProgram } from "../../../../src/driver/overlay/mounting/mount_program.ts";
import { mountAt } from "../../../../src/host/mount_table.ts";
import { RootedDir } from "../../../../src/host/rooted_dir.ts";
import { changeLines, listingAt, put, stackOf, topId } from "../../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../../src/testing/driver_suite.ts";
import { dir, file, opaque, whiteout } from "../../../../src/testing/layer_builder.ts";
import { listingOf } from "../../../../src/testing/tree_listing.ts";
import { at } from "../../../host/scratch.ts";
import { unlessMissing } from "../../../support/interop.ts";
import { mountOverlay, whyNoOverlay } from "../../../support/overlay_file_system.ts";

const program = findMountProgram();
const noProgram = program === undefined ? "fuse-overlayfs is not installed, or /dev/fuse is not there" : undefined;
const needsOverlay = { skip: whyNoOverlay() ?? false };
const needsBoth = unlessMissing(whyNoOverlay() ?? noProgram);

describe("the driver chosen for a root on overlayfs", () => {
  it("is overlay2 by fuse-overlayfs, whoever asks for it", needsBoth, async () => {
    using overlay = mountOverlay();
    const options = { "overlay2.mount_program": program ?? "" };
    for (const requested of [undefined, "overlay2"]) {
      const spec = await chooseDriver({ root: overlay.path, requested });
      assert.deepEqual(spec, { name: "overlay2", home: `${overlay.path}/overlay2`, options });
    }
    assert.deepEqual(readdirSync(overlay.path), [], "a trial left something");
  });

  it("is vfs where no program can mount", needsOverlay, async () => {
    using overlay = mountOverlay();
    // fuse-overlayfs takes such a path for two.
    const root = `${overlay.path}/a:b`;
    mkdirSync(root);
    assert.deepEqual(await chooseDriver({ root }), { name: "vfs", home: `${root}/vfs`, options: {} });
    await assert.rejects(
      chooseDriver({ root, requested: "overlay2" }),
      (error) => hasCode(error, "NOT_SUPPORTED") && /cannot keep layers on overlayfs; .*"vfs"/.test(error.message),
    );
  });
});

describe("layers on overlayfs, by fuse-overlayfs", needsBoth, () => {
  it("hide by files what is below, in sealed layers and in writable ones", async () => {
    using overlay = mountOverlay();
    const context = await contextOn(overlay.path);
    const { driver } = context;
    const below = [dir("d"), file("d/x", "1"), file("d/y", "2"), dir("e"), file("e/z", "3"), file("f", "4")];
    const stack = await stackOf(context, [below, [whiteout("d/x"), dir("e"), opaque("e"), file("e/new", "5")]]);
    const top = topId(stack);
    const { dir: place } = driver.locate(top);
    assert.ok(existsSync(`${place}/diff/d/.wh.x`), "the file system takes devices for whiteouts");
    assert.equal(readFileSync(`${place}/form`, "utf8"), "program");
    const id = randomCacheId();
    await driver.createReadWrite(id, top);
    try {
      const tree = await driver.get(id);
      assert.equal(mountAt(tree)?.fsType, "fuse.fuse-overlayfs");
      using view = await driver.view(stack);
      assert.deepEqual(listingAt(tree), listingOf(view), "the view differs from the mount");
      change(tree);
      const expected = ["C /", "C /d", "D /d/y", "C /e", "A /e/fresh", "D /e/new", "D /f"];
      assert.deepEqual(changeLines(await driver.changes(id, top)), expected);
      const merged = listingAt(tree);
      await driver.put(id);
      assert.deepEqual(changeLines(await driver.changes(id, top)), expected);
      assert.deepEqual(listingAt(await driver.get(id)), merged, "the second mount differs");
    } finally {
      await driver.cleanup();
    }
  });

  it("cannot hide a name that leaves no room for a file's", async () => {
    using overlay = mountOverlay();
    const context = await contextOn(overlay.path);
    const name = "x".repeat(252);
    await assert.rejects(
      stackOf(context, [[file(name, "1")], [whiteout(name)]]),
      (error) => hasCode(error, "NOT_SUPPORTED") && /too long for a file; .*"vfs"/.test(error.message),
    );
  });
});

async function contextOn(root: string): Promise<DriverContext> {
  const spec = await chooseDriver({ root });
  const work = `${root}/work`;
  mkdirSync(work);
  return { driver: openDriver(spec), work, reopen: () => openDriver(spec) };
}

function change(path: string): void {
  using tree = RootedDir.open(path);
  tree.unlink(at("d/y"));
  tree.unlink(at("f"));
  tree.removeTree(at("e"));
  tree.mkdir(at("e"), 0o755);
  put(tree, "e/fresh", "6");
}
