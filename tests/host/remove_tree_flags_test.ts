// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { removeTreeAt } from "../../src/host/files.ts";
import { mountLoop, needsLoop } from "../support/loop_file_system.ts";
import { withCode } from "./scratch.ts";

for (const type of ["ext4", "xfs"] as const) {
  describe(`removeTreeAt() on ${type}`, needsLoop(type), () => {
    it("removes files and directories that chattr(1) made immutable or append-only", () => {
      using fs = mountLoop(type);
      const tree = `${fs.path}/tree`;
      for (const dir of ["", "/i", "/i/below", "/a", "/empty"]) mkdirSync(`${tree}${dir}`);
      for (const file of ["/i/file", "/i/below/file", "/a/file", "/file", "/log"]) writeFileSync(`${tree}${file}`, "x");
      symlinkSync("file", `${tree}/link`);
      const flagged = { "+i": ["/i/below", "/i", "/empty", "/file", ""], "+a": ["/a/file", "/a", "/log"] };
      for (const flag of ["+a", "+i"] as const) {
        for (const name of flagged[flag]) execFileSync("chattr", [flag, `${tree}${name}`]);
      }
      removeTreeAt(tree);
      assert.ok(!existsSync(tree));
    });

    it("leaves the flags of the directory around it", () => {
      using fs = mountLoop(type);
      mkdirSync(`${fs.path}/around/tree`, { recursive: true });
      execFileSync("chattr", ["+i", `${fs.path}/around`]);
      assert.throws(() => removeTreeAt(`${fs.path}/around/tree`), withCode("EPERM"));
      assert.match(execFileSync("lsattr", ["-d", `${fs.path}/around`], { encoding: "utf8" }), /^\S*i/);
      execFileSync("chattr", ["-i", `${fs.path}/around`]);
    });
  });
}
