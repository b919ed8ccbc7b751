// SPDX-License-Identifier: Apache-2.0
/**
 * Stores that containers/storage has made are read in place: every layer is listed as that tool lists it, comes back with
 * the very bytes that it gives back, and nothing below the root is touched.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { digestOf } from "../../src/core/digest.ts";
import { parseRecordId } from "../../src/core/ids.ts";
import type { ContainersDriver } from "../../src/metadata/containers_storage/layout.ts";
import { changes } from "../../src/store/changes.ts";
import { exportLayer } from "../../src/store/export.ts";
import { openContainersRoot } from "../../src/store/roots/containers_root.ts";
import { resolveTarget } from "../../src/store/target.ts";
import { verify } from "../../src/store/verify.ts";
import { WorkerPool } from "../../src/worker/pool.ts";
import {
  BASE,
  bytesOf,
  changedIn,
  changedInMapped,
  CHANGES_OF_TOP,
  compareArchives,
  compareRecords,
  fill,
  layerOf,
  tar,
  TOP,
} from "../support/containers_layers.ts";
import { ContainersTool } from "../support/containers_tool.ts";
import { needsPrograms, unlessMissing } from "../support/interop.ts";
import { rawMember } from "../support/tar_builder.ts";

const needs = process.geteuid?.() === 0 ? needsPrograms("containers-storage") : unlessMissing("mounting needs root");
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const OTHER = tar(rawMember({ name: "other", mtime: 14 }, "other\n"));

for (const driver of ["overlay", "vfs"] as const) {
  describe(`containers/storage with ${driver}`, needs, () => {
    let scratch = "";
    let pool: WorkerPool;
    before(() => {
      scratch = mkdtempSync(`${SCRATCH_PARENT}/strata-cs-`);
      pool = new WorkerPool();
    });
    after(async () => {
      await pool[Symbol.asyncDispose]();
      rmSync(scratch, { recursive: true, force: true });
    });

    it("lists, exports and verifies what the tool imported", async () => {
      using tool = toolIn(scratch, driver);
      fill(tool);
      const root = openContainersRoot(tool.root, { pool });
      compareRecords(tool, root);
      await compareArchives(tool, root, ["base", "top", "mapped-base", "mapped-top"]);
    });

    it("tells what was set beside the tar", () => {
      using tool = toolIn(scratch, driver);
      tool.importLayer("base", BASE);
      tool.run("create-container", "--volatile", "--metadata", "text \u00fc", "-i", "container-id", "");
      tool.run("set-metadata", "-m", 'quotes " and <tags>', "base");
      tool.run("set-names", "-n", "localhost/a:1", "-n", "b", "base");
      const root = openContainersRoot(tool.root, { pool });
      compareRecords(tool, root);
      assert.equal(root.reading.catalog.list().records.length, 2);
      assert.equal(root.reading.catalog.getByName("localhost/a:1").metadata, 'quotes " and <tags>');
    });

    it("compares layers as the tool does", async () => {
      using tool = toolIn(scratch, driver);
      fill(tool);
      const root = openContainersRoot(tool.root, { pool });
      for (const ref of ["top", "mapped-top"]) assert.deepEqual(await changedIn(root, ref), CHANGES_OF_TOP, ref);
      assert.deepEqual(await changedIn(root, "container"), []);
      assert.deepEqual(await changedInMapped(root, "mapped-container"), []);
    });

    it("tells of a layer that two tars were applied to", async () => {
      using tool = toolIn(scratch, driver);
      tool.importLayer("base", BASE);
      tool.run("create-layer", "-i", "twice", "base");
      tool.run("apply-diff", "-f", tool.file(OTHER), "twice");
      tool.run("apply-diff", "-f", tool.file(TOP), "twice");
      const { reading } = openContainersRoot(tool.root, { pool });
      const { chainId, diffId } = layerOf(reading, "twice");
      assert.equal(digestOf(await bytesOf(exportLayer(reading, chainId))), diffId);
      const verification = await verify(reading, chainId);
      assert.equal(verification.state, "bad");
      if (verification.state === "bad") assert.equal(verification.path, "other");
    });

    it("reads while the tool writes", async () => {
      using tool = toolIn(scratch, driver);
      tool.importLayer("base", BASE);
      const { reading } = openContainersRoot(tool.root, { pool });
      const path = tool.file(TOP);
      let isWriting = true;
      const writers = Promise.all([1, 2, 3].map(async (writer) => {
        for (let n = 0; n < 4; n++) await tool.start("import-layer", "-i", `top-${writer}-${n}`, "-f", path, "base");
      })).finally(() => isWriting = false);
      const { chainId } = layerOf(reading, "base");
      let seen = 0;
      while (isWriting) {
        const { records, findings } = reading.catalog.list();
        // A layer that is being made says so.
        assert.ok(findings.every(({ error }) => error.message.includes("incomplete")));
        assert.ok(records.length >= seen);
        seen = records.length;
        assert.equal((await verify(reading, chainId)).state, "ok");
      }
      await writers;
      assert.equal(reading.catalog.list().records.length, 13);
      assert.equal(reading.layerDb.chainIds().length, 2);
    });

    it("gives data items by every key that the tool takes", async () => {
      using tool = toolIn(scratch, driver);
      tool.importLayer("base", BASE);
      const keys = ["plain", "Up", "a/b", "???", "ü", "sub.1", "two words", "U"];
      for (const key of keys) tool.run("set-layer-data", "-f", tool.file(`of ${key}`), "base", key);
      const root = openContainersRoot(tool.root, { pool });
      const id = parseRecordId("base");
      compareRecords(tool, root);
      for (const key of keys) {
        assert.deepEqual(await bytesOf(root.bigData(id, key)), tool.run("get-layer-data", "base", key), key);
      }
      for (const key of ["none", "plain/", "../layers.json", "", ".."]) {
        assert.throws(() => root.bigData(id, key), { code: "NOT_FOUND" });
      }
    });

    it("writes nothing below the root", async () => {
      using tool = toolIn(scratch, driver);
      fill(tool);
      spawnSync("umount", ["-l", tool.layout.home]);
      const before = listingOf(tool.root);
      spawnSync("mount", ["--bind", tool.root, tool.root]);
      try {
        assert.equal(spawnSync("mount", ["-o", "remount,bind,ro", tool.root]).status, 0);
        const { reading } = openContainersRoot(tool.root, { pool });
        for (const id of reading.catalog.list().records.map(({ id }) => id)) {
          const target = resolveTarget(reading, id);
          await changes(reading, target);
          reading.driver.metadata(target.kind === "layer" ? target.record.cacheId : target.record.mountId);
          if (target.kind === "layer") assert.equal((await verify(reading, target.record.chainId)).state, "ok");
        }
        reading.driver.status();
        reading.driver.list();
      } finally {
        spawnSync("umount", [tool.root]);
      }
      assert.deepEqual(listingOf(tool.root), before);
    });
  });
}

function toolIn(scratch: string, driver: ContainersDriver): ContainersTool {
  return new ContainersTool(mkdtempSync(`${scratch}/root-`), driver);
}

/** Names, kinds, sizes and times of all that is below a directory. */
function listingOf(path: string): string {
  return spawnSync("find", [path, "-printf", "%P %y %m %U:%G %s %n %T@ %C@\\n"], { maxBuffer: 1 << 28 }).stdout
    .toString();
}
