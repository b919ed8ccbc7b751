// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmdirSync, unlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { hasErrno } from "../../../src/host/errno.ts";
import { openForRead } from "../../../src/host/files.ts";
import { allowRemoval, projectIdOf, setProjectId, shareProject } from "../../../src/host/quota/project_id.ts";
import { mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { needsPrograms } from "../../support/interop.ts";

describe("project ids on xfs", needsLoop("xfs"), () => {
  it("are 0 at first, set on one directory, and got by what is made in it", () => {
    using xfs = mountLoop("xfs");
    const dir = `${xfs.path}/a b`;
    mkdirSync(`${dir}/before`, { recursive: true });
    assert.equal(projectIdOf(dir), 0);
    setProjectId(dir, 4_000_000_000);
    mkdirSync(`${dir}/after/deeper`, { recursive: true });
    assert.equal(projectIdOf(dir), 4_000_000_000);
    assert.equal(projectIdOf(`${dir}/before`), 0);
    assert.equal(projectIdOf(`${dir}/after/deeper`), 4_000_000_000);
    assert.equal(projectIdOf(xfs.path), 0);
  });

  it("are shared with the directory that things are to be moved to, be it there already or not", () => {
    using xfs = mountLoop("xfs");
    const [home, staging] = [`${xfs.path}/home`, `${xfs.path}/staging`];
    for (const dir of [home, staging]) mkdirSync(dir);
    shareProject(staging, home);
    assert.equal(projectIdOf(staging), 0);
    setProjectId(home, 7);
    for (const destination of [home, `${home}/not/yet`]) {
      mkdirSync(`${staging}/before`);
      assert.throws(() => renameSync(`${staging}/before`, `${home}/before`), (error) => hasErrno(error, "EXDEV"));
      rmdirSync(`${staging}/before`);
      shareProject(staging, destination);
      mkdirSync(`${staging}/after`);
      renameSync(`${staging}/after`, `${home}/after`);
      renameSync(`${home}/after`, `${staging}/after`);
      rmdirSync(`${staging}/after`);
      shareProject(staging, xfs.path);
      assert.equal(projectIdOf(staging), 0);
    }
    mkdirSync(`${staging}/of none`);
    assert.equal(projectIdOf(`${staging}/of none`), 0);
    renameSync(home, `${staging}/whatever comes`);
  });

  it("are those that xfs_io reads", needsPrograms("xfs_io"), () => {
    using xfs = mountLoop("xfs");
    setProjectId(xfs.path, 42);
    const stdout = execFileSync("xfs_io", ["-r", "-c", "stat", xfs.path], { encoding: "utf8" });
    assert.match(stdout, /fsxattr\.projid = 42\n/);
    assert.match(stdout, /\[-+P-+\]/);
  });
});

describe("project ids on ext4", needsLoop("ext4"), () => {
  it("are refused by a file system that was made without them", () => {
    using ext4 = mountLoop("ext4", { mkfs: ["-O", "^project,^quota"] });
    assert.equal(projectIdOf(ext4.path), 0);
    assert.throws(() => setProjectId(ext4.path, 1), (error) => hasErrno(error, "EOPNOTSUPP"));
  });
});

describe("allowRemoval()", needsLoop("ext4"), () => {
  it("takes the flags away that forbid removal, and says whether there were any", () => {
    using ext4 = mountLoop("ext4");
    const path = `${ext4.path}/file`;
    writeFileSync(path, "");
    for (const flag of ["+i", "+a"]) {
      execFileSync("chattr", [flag, path]);
      assert.throws(() => unlinkSync(path), (error) => hasErrno(error, "EPERM"));
      using file = openForRead(path);
      assert.equal(allowRemoval(file.fd), true);
      assert.equal(allowRemoval(file.fd), false);
    }
    unlinkSync(path);
  });
});
