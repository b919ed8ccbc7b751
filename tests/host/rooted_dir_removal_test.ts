// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../src/core/layer_path.ts";
import { runCommand } from "../../src/host/command.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { at, bytes, IS_ROOT, scratch, withCode } from "./scratch.ts";
import { jail, put } from "./jail.ts";

describe("RootedDir removal and renaming", () => {
  it("removeTree() removes symlinks and leaves what they point to", () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    j.root.mkdir(at("d/e"), 0o755);
    put(j.root, "d/e/f");
    j.root.symlink(at("d/l"), bytes(j.outside));
    j.root.symlink(at("d/e/l"), bytes("../../../outside"));
    j.root.removeTree(at("d"));
    assert.deepEqual(j.root.list(ROOT), []);
    assert.deepEqual(fs.readdirSync(j.outside), ["secret"]);
    j.root.removeTree(at("d"));
    j.root.removeTree(at("d/e/f"));
    j.root.symlink(at("l"), bytes(j.outside));
    j.root.removeTree(at("l"));
    assert.deepEqual(fs.readdirSync(j.outside), ["secret"]);
  });

  it("removeTree() takes a tree deeper than the limit on open files", () => {
    using j = jail();
    let path = "";
    for (let depth = 0; depth < 1024; depth++) {
      path = path === "" ? "d" : `${path}/d`;
      j.root.mkdir(at(path), 0o755);
    }
    put(j.root, `${path.slice(2)}/file`);
    j.root.removeTree(at("d"));
    assert.deepEqual(j.root.list(ROOT), []);
  });

  it("removeTree() does not enter a mount", { skip: !IS_ROOT && "needs root" }, async (t) => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    j.root.mkdir(at("d/mount"), 0o755);
    // A bind mount of the same file system: only the mount itself tells, not the device number.
    const mounted = await runCommand("mount", ["--bind", j.outside, join(j.inside, "d/mount")]);
    if (mounted.code !== 0) return t.skip("needs the right to mount");
    try {
      assert.throws(() => j.root.removeTree(at("d")), withCode("EXDEV"));
      assert.deepEqual(fs.readdirSync(j.outside), ["secret"]);
    } finally {
      await runCommand("umount", [join(j.inside, "d/mount")]);
    }
  });

  it("removeTree() opens what its owner closed", () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    j.root.mkdir(at("d/e"), 0o755);
    put(j.root, "d/e/f");
    j.root.setMode(at("d/e"), 0);
    j.root.setMode(at("d"), 0o500);
    j.root.removeTree(at("d"));
    assert.equal(j.root.stat(at("d")), undefined);
  });

  it("unlink() and rmdir() remove one object of their kind", () => {
    using j = jail();
    put(j.root, "f");
    j.root.mkdir(at("d"), 0o755);
    assert.throws(() => j.root.rmdir(at("f")), withCode("ENOTDIR"));
    assert.throws(() => j.root.unlink(at("d")), withCode("EISDIR"));
    j.root.unlink(at("f"));
    j.root.rmdir(at("d"));
    assert.deepEqual(j.root.list(ROOT), []);
  });

  it("rename() replaces, renameInto() with never does not", () => {
    using j = jail();
    using target = RootedDir.open(j.outside);
    j.root.mkdir(at("d"), 0o755);
    put(j.root, "d/f", "new");
    j.root.rename(at("d/f"), at("secret"));
    assert.throws(
      () => j.root.renameInto(at("secret"), target, at("secret"), { replace: "never" }),
      withCode("EEXIST"),
    );
    assert.equal(fs.readFileSync(join(j.outside, "secret"), "utf8"), "secret");
    j.root.renameInto(at("secret"), target, at("secret"), { replace: "allow" });
    assert.equal(fs.readFileSync(join(j.outside, "secret"), "utf8"), "new");
    target.mkdir(at("deep"), 0o755);
    j.root.renameInto(at("d"), target, at("deep/d"), { replace: "never" });
    assert.equal(target.stat(at("deep/d"))?.type, "dir");
  });

  it("openDir() is a root of its own", () => {
    using j = jail();
    j.root.mkdir(at("d"), 0o755);
    using dir = j.root.openDir(at("d"));
    dir.symlink(at("up"), bytes("/.."));
    put(dir, "up/x");
    assert.deepEqual(j.root.list(at("d")).map((e) => e.name), ["up", "x"]);
    assert.equal(dir.path, `${j.inside}/d`);
  });

  it("close() gives every handle back, and may be called twice", () => {
    using dir = scratch();
    for (let i = 0; i < 5; i++) {
      const root = RootedDir.open(dir.path);
      root.mkdir(at(`d${i}`), 0o755);
      put(root, `d${i}/f`);
      root.link(at(`d${i}/f`), at(`g${i}`));
      assert.throws(() => put(root, `d${i}/f`), withCode("EEXIST"));
      assert.throws(() => root.openRead(at(`d${i}`)), withCode("EISDIR"));
      root.close();
      root.close();
    }
    assert.deepEqual(handlesBelow(dir.path), []);
  });
});

/** What this process has open at or below a path. Tests that run beside this one have other things open. */
function handlesBelow(path: string): string[] {
  return fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      return [];
    }
  });
}
