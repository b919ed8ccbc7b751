// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { linkSync, symlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { isSameObject, pathOfProcess, processesRunning } from "../../src/host/process_list.ts";
import { FakeDockerd } from "../support/fake_dockerd.ts";
import { scratch } from "./scratch.ts";

describe("processesRunning()", () => {
  it("gives those of that name, with their arguments, while they run", async () => {
    const args = ["--first", "", "with blank"];
    const running = () => processesRunning("dockerd").filter((found) => found.args.slice(-3).join() === args.join());
    {
      await using fake = await FakeDockerd.start(args);
      assert.deepEqual(running().map(({ pid }) => pid), [fake.pid]);
      const [{ args: [program = ""] = [] } = {}] = running();
      assert.equal(basename(program), "dockerd");
    }
    assert.deepEqual(running(), []);
  });
});

describe("isSameObject()", () => {
  it("follows symlinks and compares objects", () => {
    using dir = scratch();
    for (const name of ["a", "b"]) writeFileSync(`${dir.path}/${name}`, name);
    linkSync(`${dir.path}/a`, `${dir.path}/hard`);
    symlinkSync("a", `${dir.path}/soft`);
    assert.ok(isSameObject(`${dir.path}/a`, `${dir.path}/hard`));
    assert.ok(isSameObject(`${dir.path}/soft`, `${dir.path}/hard`));
    assert.ok(!isSameObject(`${dir.path}/a`, `${dir.path}/b`));
    assert.ok(!isSameObject(`${dir.path}/none`, `${dir.path}/none`));
  });
});

describe("pathOfProcess()", () => {
  it("leads where the path leads for the process", () => {
    assert.ok(isSameObject(pathOfProcess(process.pid, "/etc"), "/etc"));
    assert.ok(isSameObject(pathOfProcess(process.pid, "."), process.cwd()));
  });
});
