// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { hasCode } from "../../src/core/errors.ts";
import { tryLock } from "../../src/host/file_lock.ts";
import { DockerdGuard } from "../../src/metadata/dockerd.ts";
import { FakeDockerd } from "../support/fake_dockerd.ts";

describe("a dockerd on a root", () => {
  let dir = "";
  let root = "";

  before(() => {
    dir = mkdtempSync(join(tmpdir(), "strata-guard-"));
    root = `${dir}/root`;
    mkdirSync(`${root}/containers`, { recursive: true });
    mkdirSync(`${root}/231072.231072/containers`, { recursive: true });
    mkdirSync(`${root}/volumes`);
    mkdirSync(`${dir}/other/containers`, { recursive: true });
    symlinkSync(root, `${dir}/link`);
    writeFileSync(`${dir}/daemon.json`, JSON.stringify({ "data-root": root, debug: true }));
    writeFileSync(`${dir}/old.json`, JSON.stringify({ graph: root }));
    writeFileSync(`${dir}/torn.json`, "{");
  });
  after(() => rmSync(dir, { recursive: true }));

  const forms: Readonly<Record<string, () => readonly string[]>> = {
    "--data-root DIR": () => ["--data-root", root],
    "--data-root=DIR": () => [`--data-root=${root}`],
    "--graph DIR": () => ["--graph", root],
    "-g DIR": () => ["-g", root],
    "-gDIR": () => [`-g${root}`],
    "-Dg=DIR": () => [`-Dg=${root}`],
    "a symlink to it": () => ["--data-root", `${dir}/link`],
    "a path from its working directory": () => ["--data-root", "root"],
    "the last of several": () => ["--data-root", "/elsewhere", "-H", "fd://", "--data-root", root],
    "its configuration": () => ["--config-file", `${dir}/daemon.json`],
    "its configuration, relative": () => ["--config-file=daemon.json"],
    "its configuration, in the old way": () => [`--config-file=${dir}/old.json`],
  };
  for (const [form, args] of Object.entries(forms)) {
    it(`is known by ${form}`, async () => {
      {
        await using dockerd = await FakeDockerd.start(args(), dir);
        assert.deepEqual(new DockerdGuard(root).find(), { pid: dockerd.pid });
        assert.equal(new DockerdGuard(`${dir}/other`).find(), undefined, "another root is free");
      }
      assert.equal(new DockerdGuard(root).find(), undefined, "and free when it has ended");
    });
  }

  it("is known to hold the directory of a mapped user", async () => {
    await using dockerd = await FakeDockerd.start(["--data-root", root]);
    assert.deepEqual(new DockerdGuard(`${root}/231072.231072`).find(), { pid: dockerd.pid });
  });

  it("does not hold what lies deeper, such as a volume", async () => {
    mkdirSync(`${root}/volumes/v/_data/containers`, { recursive: true });
    await using _dockerd = await FakeDockerd.start(["--data-root", root]);
    assert.equal(new DockerdGuard(`${root}/volumes/v/_data`).find(), undefined);
  });

  it("with a configuration that cannot be read holds its default root, not this", async () => {
    await using _dockerd = await FakeDockerd.start([`--config-file=${dir}/torn.json`]);
    assert.equal(new DockerdGuard(root).find(), undefined);
  });

  it("is known by its lock, where its process cannot be seen", () => {
    const guard = new DockerdGuard(root);
    const lock = tryLock(`${root}/volumes/metadata.db`, "exclusive");
    assert.ok(lock);
    assert.deepEqual(guard.find(), {});
    assert.throws(() => guard.requireAbsent(), /a running dockerd in another PID namespace holds it/);
    lock.release();
    assert.equal(guard.find(), undefined);
    guard.requireAbsent();
  });

  it("keeps writers away, and is named to them", async () => {
    await using dockerd = await FakeDockerd.start(["--data-root", root]);
    assert.throws(() => new DockerdGuard(root).requireAbsent(), (error) => {
      assert.ok(hasCode(error, "LOCKED"));
      assert.deepEqual(error.detail, { path: root, holder: `dockerd (pid ${dockerd.pid})` });
      assert.match(
        error.message,
        /^Cannot write to the store at ".*": a running dockerd \(pid \d+\) holds it; stop it/,
      );
      return true;
    });
  });
});
