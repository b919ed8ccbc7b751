// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { tryLock } from "../../src/host/file_lock.ts";
import { StagingArea } from "../../src/metadata/staging.ts";
import { scratchStore } from "./store_dir.ts";

const OWNER = { schema: 1, pid: 1, startTime: 2, bootId: "b", what: "register", created: "2026-01-01T00:00:00.000Z" };

describe("StagingArea", () => {
  it("create() makes a private directory that says who works in it; disposal removes it", async () => {
    using store = scratchStore();
    const area = new StagingArea(store.layout);
    let dir: string;
    {
      await using staging = area.create("register");
      dir = staging.dir;
      assert.equal(dir, join(store.root, "strata/tmp", staging.id));
      assert.equal(statSync(dir).mode & 0o777, 0o700);
      const owner = JSON.parse(readFileSync(staging.path("owner.json"), "utf8"));
      assert.equal(owner.pid, process.pid);
      assert.equal(owner.what, "register");
      mkdirSync(staging.path("a/b"), { recursive: true });
      writeFileSync(staging.path("a/b/c"), "x");
      const [entry] = area.list();
      assert.equal(entry?.state, "live");
      assert.equal(entry?.owner?.what, "register");
      assert.equal(area.removeIfAbandoned({ dir }), "live");
      assert.equal(existsSync(staging.path("a/b/c")), true);
    }
    assert.equal(existsSync(dir), false);
    assert.deepEqual(area.list(), []);
  });

  it("disposal twice, and after the directory is gone, is no error", () => {
    using store = scratchStore();
    const staging = new StagingArea(store.layout).create("x");
    rmSync(staging.dir, { recursive: true });
    staging[Symbol.dispose]();
    staging[Symbol.dispose]();
  });

  it("list() tells live from dead, and both from what nobody claims", () => {
    using store = scratchStore();
    const area = new StagingArea(store.layout);
    for (const id of ["dead", "beginning", "bare", "live", "torn"]) {
      mkdirSync(join(store.layout.stagingDir, id), { recursive: true });
    }
    const at = (id: string, name: string) => join(store.layout.stagingDir, id, name);
    for (const id of ["dead", "live"]) writeFileSync(at(id, "owner.json"), JSON.stringify(OWNER));
    writeFileSync(at("torn", "owner.json"), "{");
    for (const id of ["dead", "beginning"]) writeFileSync(at(id, "lock"), "");
    using _held = tryLock(at("live", "lock"), "exclusive") ?? assert.fail("locked");
    const states = new Map(area.list().map(({ id, state }) => [id, state]));
    assert.deepEqual(
      states,
      new Map([["bare", "unclaimed"], ["beginning", "unclaimed"], ["dead", "dead"], ["live", "live"], [
        "torn",
        "unclaimed",
      ]]),
    );
    assert.ok(Math.abs(Date.now() - (area.list()[0]?.modifiedMs ?? 0)) < 60_000);
    assert.deepEqual(area.list().map((entry) => area.removeIfAbandoned(entry)), [
      "removed",
      "removed",
      "removed",
      "live",
      "removed",
    ]);
    assert.deepEqual(area.list().map(({ id }) => id), ["live"]);
  });
});
