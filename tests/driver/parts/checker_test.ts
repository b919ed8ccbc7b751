// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { DEFAULT_CHECKER, fileSystemChecker, isMounted } from "../../../src/driver/parts/checker.ts";
import { runCommand } from "../../../src/host/command.ts";
import { FS_MAGIC } from "../../../src/host/fs_magic.ts";
import { mountsBelow } from "../../../src/host/mount_table.ts";
import { IS_ROOT, scratch } from "../../host/scratch.ts";

describe("isMounted()", () => {
  it("knows mount points, and tells them from what lies below or is not there", () => {
    using dir = scratch();
    assert.ok(DEFAULT_CHECKER.isMounted("/proc"));
    assert.ok(!isMounted("/proc/self"));
    assert.ok(!isMounted(dir.path));
    assert.ok(!isMounted(`${dir.path}/absent`));
    writeFileSync(`${dir.path}/file`, "");
    assert.ok(!isMounted(`${dir.path}/file/below`));
    assert.ok(!isMounted("/pro"));
  });

  it("resolves symlinks, dots and doubled slashes", () => {
    using dir = scratch();
    symlinkSync("/", `${dir.path}/root`);
    symlinkSync("/proc", `${dir.path}/link`);
    assert.ok(isMounted(`${dir.path}/root/proc`));
    assert.ok(isMounted(`${dir.path}/link`));
    assert.ok(isMounted("//proc/../proc/"));
  });
});

describe("checkers on real mounts", { skip: IS_ROOT ? false : "mounting needs root" }, () => {
  it("find mounts at names that the table of mounts escapes", async () => {
    await using place = mountScratch();
    for (
      const name of ["a b", "tab\there", "line\nbreak", "back\\slash", "\\040", "ha#sh", "ünïcode", "comma,colon:"]
    ) {
      const path = `${place.path}/${name}`;
      mkdirSync(path);
      assert.ok(!isMounted(path), name);
      await place.mount("tmpfs", path);
      assert.ok(isMounted(path), name);
    }
  });

  it("find bind mounts, of files too, which no device number shows", async () => {
    await using place = mountScratch();
    mkdirSync(`${place.path}/bound`);
    writeFileSync(`${place.path}/file`, "");
    await place.mount("bind", `${place.path}/bound`);
    await place.mount("bind", `${place.path}/file`);
    assert.ok(isMounted(`${place.path}/bound`));
    assert.ok(isMounted(`${place.path}/file`));
  });

  it("fileSystemChecker() takes the wanted file system only, and only where it begins", async () => {
    await using place = mountScratch();
    const path = `${place.path}/mount`;
    mkdirSync(path);
    const tmpfs = fileSystemChecker(FS_MAGIC.tmpfs);
    assert.ok(!tmpfs.isMounted(path));
    await place.mount("tmpfs", path);
    mkdirSync(`${path}/below`);
    assert.ok(tmpfs.isMounted(path));
    assert.ok(!tmpfs.isMounted(`${path}/below`), "the file system is right, but it does not begin here");
    assert.ok(!fileSystemChecker(FS_MAGIC.overlayfs).isMounted(path));
    assert.ok(!tmpfs.isMounted(`${place.path}/absent`));
  });
});

/** A directory whose mounts go when the test ends. */
function mountScratch() {
  const dir = scratch();
  return {
    path: dir.path,
    async mount(type: "tmpfs" | "bind", path: string): Promise<void> {
      const args = type === "bind" ? ["--bind", "--", path, path] : ["-t", type, "--", "strata-test", path];
      const { code, stderr } = await runCommand("mount", args);
      assert.equal(code, 0, stderr);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const { mountPoint } of mountsBelow(dir.path).reverse()) await runCommand("umount", ["--", mountPoint]);
      dir[Symbol.dispose]();
    },
  };
}
