// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { statfsSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileSystemOf, getFsMagic } from "../../src/host/fs_info.ts";
import { fileSystemName } from "../../src/host/fs_magic.ts";
import { scratch, withCode } from "./scratch.ts";

describe("fileSystemOf()", () => {
  it("gives the kernel's number, its name, and sizes", () => {
    using dir = scratch();
    const info = fileSystemOf(dir.path);
    assert.equal(info.magic, statfsSync(dir.path).type >>> 0);
    assert.equal(info.name, fileSystemName(info.magic));
    assert.ok(info.totalBytes >= info.freeBytes && info.freeBytes > 0);
  });

  it("fails for a path that is not there", () => {
    using dir = scratch();
    assert.throws(() => fileSystemOf(`${dir.path}/absent`), withCode("ENOENT"));
  });
});

describe("getFsMagic()", () => {
  it("looks at the path, or at the nearest directory above that exists", () => {
    using dir = scratch();
    const { magic } = fileSystemOf(dir.path);
    assert.equal(getFsMagic(dir.path), magic);
    assert.equal(getFsMagic(`${dir.path}/not/yet/there`), magic);
    writeFileSync(`${dir.path}/file`, "");
    assert.equal(getFsMagic(`${dir.path}/file`), magic);
    assert.equal(getFsMagic(`${dir.path}/file/below`), magic);
    assert.equal(fileSystemName(getFsMagic("/proc/self/status")), "unknown (0x9fa0)");
  });

  it("follows symlinks, and looks above a dangling one", () => {
    using dir = scratch();
    symlinkSync("/proc", `${dir.path}/proc`);
    symlinkSync("nowhere", `${dir.path}/dangling`);
    assert.equal(getFsMagic(`${dir.path}/proc`), 0x9fa0);
    assert.equal(getFsMagic(`${dir.path}/dangling`), getFsMagic(dir.path));
  });
});
