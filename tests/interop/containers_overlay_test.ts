// SPDX-License-Identifier: Apache-2.0
/**
 * What is particular to the overlay driver of containers/storage, read in place: further roots, mount programs, owners told
 * by attributes, owners that were changed in place, users without privileges; and a real image.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { DigestWriter } from "../../src/core/digest.ts";
import { parseLayerPath } from "../../src/core/layer_path.ts";
import type { ContainersDriver } from "../../src/metadata/containers_storage/layout.ts";
import { exportLayer } from "../../src/store/export.ts";
import { openContainersRoot } from "../../src/store/roots/containers_root.ts";
import { resolveTarget } from "../../src/store/target.ts";
import { verify } from "../../src/store/verify.ts";
import { WorkerPool } from "../../src/worker/pool.ts";
import {
  BASE,
  changedIn,
  changedInMapped,
  CHANGES_OF_TOP,
  compareArchives,
  compareRecords,
  fill,
  layerOf,
  TOP,
  WITHOUT_OPAQUE,
} from "../support/containers_layers.ts";
import { ContainersTool } from "../support/containers_tool.ts";
import { needsPrograms, needsRealImage, unlessMissing } from "../support/interop.ts";
import { OrdinaryUser, WITH_SUBORDINATE_IDS } from "../support/ordinary_user.ts";

const needs = process.geteuid?.() === 0 ? needsPrograms("containers-storage") : unlessMissing("mounting needs root");
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
/** What the tool asks to know that it runs in a namespace of a user's, as podman tells it. */
const ROOTLESS = ["_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID=1", "_CONTAINERS_ROOTLESS_GID=1"];
const NAMESPACE = ["unshare", "--user", "--mount", "--map-root-user", "--map-auto"];

describe("oddities of containers/storage's overlay", needs, () => {
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

  it("reads stacks that go on in an additional image store", async () => {
    using lower = toolIn(scratch, "overlay");
    lower.importLayer("base", BASE);
    using tool = toolIn(scratch, "overlay", [`overlay.imagestore=${lower.root}`]);
    tool.importLayer("top", TOP, "base");
    tool.run("create-layer", "-i", "container", "top");
    const alone = openContainersRoot(tool.root, { pool });
    assert.deepEqual(alone.reading.catalog.list().records, []);
    assert.equal(alone.reading.catalog.list().findings.length, 2);
    assert.throws(() => resolveTarget(alone.reading, "top"), { code: "CORRUPT" });
    const root = openContainersRoot(tool.root, { pool, siblings: [lower.root] });
    assert.deepEqual(root.reading.catalog.list().records.map(({ id }) => String(id)), ["top", "container"]);
    await compareArchives(tool, root, ["top"]);
    const { chainId, parent } = layerOf(root.reading, "top");
    assert.ok(parent);
    assert.equal(layerOf(openContainersRoot(lower.root, { pool }).reading, "base").chainId, parent);
    assert.deepEqual(await verify(root.reading, parent), { chainId: parent, state: "ok" });
    assert.ok(root.reading.layerDb.has(chainId));
    assert.deepEqual(await changedIn(root, "top"), CHANGES_OF_TOP);
    assert.deepEqual(await changedIn(root, "container"), []);
  });

  it("finds layers whose short names lead nowhere", async () => {
    using tool = toolIn(scratch, "overlay");
    fill(tool);
    rmSync(`${tool.layout.home}/l`, { recursive: true });
    const root = openContainersRoot(tool.root, { pool });
    assert.deepEqual(await changedIn(root, "top"), CHANGES_OF_TOP);
    assert.equal((await verify(root.reading, layerOf(root.reading, "top").chainId)).state, "ok");
  });

  it("reads what a mount program wrote", needsPrograms("fuse-overlayfs"), async () => {
    using tool = toolIn(scratch, "overlay", ["overlay.mount_program=/usr/bin/fuse-overlayfs"]);
    fill(tool);
    const path = new TextDecoder().decode(tool.run("mount", "container")).trim();
    rmSync(`${path}/cut`, { recursive: true });
    writeFileSync(`${path}/added`, "added\n");
    tool.run("unmount", "container");
    const root = openContainersRoot(tool.root, { pool });
    await compareArchives(tool, root, ["base", "top"]);
    assert.deepEqual(await changedIn(root, "top"), CHANGES_OF_TOP);
    assert.deepEqual(await changedIn(root, "container"), ["modify ", "add added", "delete cut"]);
  });

  it("reads layers whose owners told attributes", needsPrograms("fuse-overlayfs"), async () => {
    using tool = toolIn(scratch, "overlay", [
      "overlay.mount_program=/usr/bin/fuse-overlayfs",
      "overlay.force_mask=shared",
    ]);
    fill(tool);
    const root = openContainersRoot(tool.root, { pool });
    await compareArchives(tool, root, ["base", "top"]);
    using view = await root.reading.driver.view([root.reading.driver.locate(layerOf(root.reading, "base").cacheId)]);
    const kept = view.stat(parseLayerPath(fromText("dir/kept")));
    assert.deepEqual([kept?.uid, kept?.gid, kept?.mode], [1000, 1001, 0o644]);
    assert.deepEqual(await changedIn(root, "top"), CHANGES_OF_TOP);
  });

  it("reads layers whose own files lie in several directories", async () => {
    using tool = toolIn(scratch, "overlay");
    tool.inUserNamespace(() => fill(tool, WITHOUT_OPAQUE));
    assert.ok(existsSync(`${tool.layout.home}/mapped-container/diff1`));
    const root = openContainersRoot(tool.root, { pool });
    compareRecords(tool, root);
    await compareArchives(tool, root, ["base", "top", "mapped-base", "mapped-top"]);
    assert.deepEqual(await changedInMapped(root, "mapped-container"), []);
    assert.deepEqual(await changedInMapped(root, "mapped-top"), ["delete dir/gone"]);
  });

  it("reads what a user without privileges has made", WITH_SUBORDINATE_IDS, async () => {
    using user = new OrdinaryUser("65536", { dir: SCRATCH_PARENT });
    const places = ["--graph", `${user.home}/graph`, "--run", `${user.home}/run`, "--storage-driver", "overlay"];
    const run = (command: string, ...args: string[]) =>
      user.ok(["env", ...ROOTLESS, ...NAMESPACE, "containers-storage", command, ...places, ...args]);
    for (const [name, tar] of Object.entries({ base: BASE, top: TOP })) writeFileSync(`${user.home}/${name}`, tar);
    await run("import-layer", "-i", "base", "-f", `${user.home}/base`);
    await run("import-layer", "-i", "top", "-f", `${user.home}/top`, "base");
    await run("create-layer", "-i", "container", "top");
    const root = openContainersRoot(`${user.home}/graph`, { pool });
    for (const ref of ["base", "top"]) {
      const { chainId } = layerOf(root.reading, ref);
      assert.deepEqual(await verify(root.reading, chainId), { chainId, state: "ok" });
    }
    assert.deepEqual(await changedIn(root, "top"), CHANGES_OF_TOP);
    assert.deepEqual(await changedIn(root, "container"), []);
    const { cacheId } = layerOf(root.reading, "top");
    assert.throws(() => root.reading.driver.outsideLayers?.asOutside(cacheId), { code: "NOT_SUPPORTED" });
  });

  it("finds all of a real image", needsRealImage("skopeo"), async () => {
    for (const driver of ["overlay", "vfs"] as const) {
      using tool = toolIn(scratch, driver);
      const source = `docker-archive:${process.env["STRATA_REAL_IMAGE"]}/image.docker.tar`;
      const copy = spawnSync("skopeo", ["copy", "--quiet", source, `${tool.transport}localhost/real:1`], {
        env: tool.environment,
      });
      assert.equal(copy.status, 0, copy.stderr.toString());
      const root = openContainersRoot(tool.root, { pool });
      compareRecords(tool, root);
      const { records } = root.reading.catalog.list();
      assert.equal(records.length, 3);
      for (const { id, target } of records) {
        assert.equal(target.kind, "layer");
        if (target.kind !== "layer") continue;
        assert.deepEqual(await verify(root.reading, target.chainId), { chainId: target.chainId, state: "ok" }, id);
        assert.equal(await digestOfStream(exportLayer(root.reading, target.chainId)), layerOf(root.reading, id).diffId);
      }
    }
  });
});

async function digestOfStream(stream: ReadableStream<Uint8Array>): Promise<string> {
  const digest = new DigestWriter();
  for await (const chunk of stream) digest.update(chunk);
  return digest.finish();
}

function toolIn(scratch: string, driver: ContainersDriver, options: readonly string[] = []): ContainersTool {
  return new ContainersTool(mkdtempSync(`${scratch}/root-`), driver, options);
}
