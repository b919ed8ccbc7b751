// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "../../../src/core/layer_path.ts";
import { hasCode } from "../../../src/core/errors.ts";
import { randomCacheId } from "../../../src/core/ids.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { currentMarks, markName } from "../../../src/driver/overlay/whiteouts.ts";
import { directorySize } from "../../../src/driver/parts/directory_size.ts";
import { mountAt } from "../../../src/host/mount_table.ts";
import { at, put, stackOf, topId, withWritable } from "../../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../../src/testing/driver_suite.ts";
import { dir, file, opaque, whiteout } from "../../../src/testing/layer_builder.ts";
import { RootedDir } from "../../../src/host/rooted_dir.ts";
import { withScratchDriver } from "../../conformance/scratch_driver.ts";

const skip = await probeOverlay(tmpdir()) ?? false;

describe("OverlayDriver", { skip }, () => {
  onScratch("lays layers out as Docker does", async ({ driver, ...context }) => {
    const stack = await stackOf({ driver, ...context }, [[file("a", "1")], [file("b", "2")], [file("c", "3")]]);
    const [top, middle, base] = stack.map((location) => location.dir);
    assert.deepEqual(readdirSync(base!).sort(), ["committed", "diff", "link"]);
    assert.deepEqual(readdirSync(top!).sort(), ["committed", "diff", "link", "lower", "work"]);
    const links = [top, middle, base].map((layer) => readFileSync(`${layer}/link`, "utf8"));
    for (const link of links) assert.match(link, /^[A-Z2-7]{26}$/);
    assert.equal(readFileSync(`${top}/lower`, "utf8"), `l/${links[1]}:l/${links[2]}`);
    assert.equal(readlinkSync(`${driver.spec.home}/l/${links[0]}`), `../${topId(stack)}/diff`);
    const modes = { "": 0o710, l: 0o700 };
    for (const [name, mode] of Object.entries(modes)) assert.equal(modeOf(join(driver.spec.home, name)), mode, name);
    const layerModes = { "": 0o710, diff: 0o755, link: 0o644, lower: 0o644, work: 0o700, committed: 0o600 };
    for (const [name, mode] of Object.entries(layerModes)) assert.equal(modeOf(join(top!, name)), mode, name);
  });

  onScratch("writes whiteouts and opaque directories in the kernel's form", async (context) => {
    const below = [dir("d"), file("d/x"), file("f"), dir("e"), file("e/y")];
    const [top] = await stackOf(context, [below, [
      whiteout("f"),
      whiteout("d/x"),
      dir("e"),
      opaque("e"),
      whiteout("e/y"),
    ]]);
    using diff = RootedDir.open(`${top!.dir}/diff`);
    for (const name of ["f", "d/x"]) {
      const { type, mode, rdevMajor, rdevMinor } = diff.stat(at(name))!;
      assert.deepEqual({ type, mode, rdevMajor, rdevMinor }, { type: "char", mode: 0, rdevMajor: 0, rdevMinor: 0 });
    }
    assert.deepEqual(diff.list(at("e")), []);
    assert.deepEqual([...diff.xattrs(at("e"))], [[markName(currentMarks(), "opaque"), new Uint8Array([0x79])]]);
    assert.equal(diff.xattrs(at("d")).size, 0);
  });

  onScratch("reads whiteouts that are files, as the kernel does", async (context) => {
    const { driver } = context;
    const below = ["d", "e"].flatMap((name) => [dir(name), file(`${name}/gone`), file(`${name}/kept`)]);
    const above = ["d", "e"].flatMap((name) => [dir(name), file(`${name}/gone`), file(`${name}/new`)]);
    const stack = await stackOf(context, [[...below, file("gone")], [...above, file("gone")], [file("top")]]);
    using layer = RootedDir.open(`${stack[1]?.dir}/diff`);
    const [yes, none] = [new TextEncoder().encode("x"), new Uint8Array(0)];
    // The directory "e" does not say that there are such files in it.
    for (const path of [ROOT, at("d")]) layer.setXattr(path, markName(currentMarks(), "opaque"), yes);
    for (const path of ["gone", "d/gone"]) layer.setXattr(at(path), markName(currentMarks(), "whiteout"), none);
    using view = await driver.view(stack);
    assert.equal(view.stat(at("d/gone")), undefined);
    const names = ["", "d", "e"].map((path) => view.list(path === "" ? ROOT : at(path)).map(({ name }) => name));
    assert.deepEqual(names, [["d", "e", "top"], ["kept", "new"], ["gone", "kept", "new"]]);
    if (!knowsFileWhiteouts()) return;
    const path = await driver.get(topId(stack));
    assert.deepEqual(["", "d", "e"].map((name) => readdirSync(`${path}/${name}`).sort()), names);
    await driver.put(topId(stack));
  });

  onScratch("mounts without redirects, metacopy and index", async (context) => {
    await withWritable(context, await stackOf(context, [[file("a", "1")]]), ({ path }) => {
      const { superOptions, fsType } = mountAt(path)!;
      assert.equal(fsType, "overlay");
      for (const bad of ["metacopy=on", "redirect_dir=on", "index=on"]) assert.ok(!superOptions.includes(bad), bad);
    });
  });

  onScratch("passes mount options on, and refuses those that are its own", async (context) => {
    const { driver } = context;
    const top = topId(await stackOf(context, [[file("a", "1")], [file("b", "2")]]));
    const path = await driver.get(top, { mountOptions: ["nodev", "noexec"] });
    for (const option of ["nodev", "noexec"]) assert.ok(mountAt(path)?.options.includes(option), option);
    await driver.put(top);
    await assert.rejects(driver.get(top, { mountOptions: ["lowerdir=/etc"] }), (e) => hasCode(e, "INVALID_ARGUMENT"));
    assert.equal(readdirSync(driver.locate(top).dir).includes("merged"), false);
  });

  onScratch("takes the directory away that a failed mount leaves", async (context) => {
    const { driver } = context;
    const top = topId(await stackOf(context, [[file("a", "1")], [file("b", "2")]]));
    await assert.rejects(driver.get(top, { mountOptions: ["nonsense=1"] }), (error) => hasCode(error, "IO"));
    assert.equal(readdirSync(driver.locate(top).dir).includes("merged"), false);
  });

  onScratch("gives up a mount that is in use", async (context) => {
    const { driver } = context;
    const id = randomCacheId();
    await driver.createReadWrite(id, topId(await stackOf(context, [[file("a", "1")]])));
    const path = await driver.get(id);
    const busy = openSync(join(path, "a"), "r");
    await driver.put(id);
    assert.equal(mountAt(path), undefined);
    assert.equal(readFileSync(busy, "utf8"), "1");
    closeSync(busy);
    await driver.remove(id);
  });

  onScratch("removes the short name with the layer, and says which file is damaged", async (context) => {
    const { driver } = context;
    const [top, base] = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
    await driver.remove(base!.cacheId);
    assert.equal(readdirSync(`${driver.spec.home}/l`).length, 1);
    assert.throws(() => driver.parentsOf(top!.cacheId), (error) => hasCode(error, "CORRUPT"));
    writeFileSync(`${top!.dir}/lower`, "l/../../etc");
    assert.throws(() => driver.parentsOf(top!.cacheId), (error) => hasCode(error, "CORRUPT"));
    rmSync(`${top!.dir}/link`);
    await driver.remove(top!.cacheId);
    assert.equal(driver.exists(top!.cacheId), false);
  });

  onScratch("marks a parent committed that is not, as Docker's layers without children are", async (context) => {
    const { driver } = context;
    const [top] = await stackOf(context, [[file("a", "1")]]);
    rmSync(`${top!.dir}/committed`);
    assert.equal(await driver.get(top!.cacheId), `${top!.dir}/diff`);
    await withWritable(context, [top!], ({ path }) => {
      using tree = RootedDir.open(path);
      put(tree, "b", "2");
    });
    assert.equal(await driver.get(top!.cacheId), `${top!.dir}/merged`);
    await driver.put(top!.cacheId);
  });

  onScratch("names the directories of a layer as Docker does", async (context) => {
    const { driver } = context;
    const [top, base] = await stackOf(context, [[file("a", "1")], [file("b", "2")]]);
    assert.deepEqual(driver.metadata(top!.cacheId), {
      LowerDir: `${base!.dir}/diff`,
      MergedDir: `${top!.dir}/merged`,
      UpperDir: `${top!.dir}/diff`,
      WorkDir: `${top!.dir}/work`,
    });
    assert.equal("LowerDir" in driver.metadata(base!.cacheId), false);
  });

  onScratch("counts a layer's size as Docker does: links once, symlinks by their targets", async (context) => {
    const { driver } = context;
    const sealed = await stackOf(context, [[file("a", "123"), dir("d")]]);
    using tree = RootedDir.open(driver.treeOf(topId(sealed), "writable").path);
    assert.equal(directorySize(tree), 3);
    tree.link(at("a"), at("d/b"));
    tree.symlink(at("d/l"), at("12345"));
    tree.mknod(at("d/w"), { type: "char", mode: 0 });
    assert.equal(directorySize(tree), 8);
  });
});

function onScratch(name: string, run: (context: DriverContext) => Promise<void> | void): void {
  it(name, () => withScratchDriver("overlay2", run));
}

/** Kernels do from 6.7. */
function knowsFileWhiteouts(): boolean {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 7);
}

function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}
