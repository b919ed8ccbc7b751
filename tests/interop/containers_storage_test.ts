// SPDX-License-Identifier: Apache-2.0
/**
 * Stores that containers/storage has made are read in place: every layer is listed as that tool lists it, comes back with
 * the very bytes that it gives back, and nothing below the root is touched.
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
import { digestOf, DigestWriter } from "../../src/core/digest.ts";
import { parseRecordId } from "../../src/core/ids.ts";
import { parseLayerPath, ROOT } from "../../src/core/layer_path.ts";
import type { ContainersDriver } from "../../src/metadata/containers_storage/layout.ts";
import { changes } from "../../src/store/changes.ts";
import type { LayerRecord } from "../../src/metadata/layer_record.ts";
import type { ReadingContext } from "../../src/store/reading.ts";
import { exportLayer } from "../../src/store/export.ts";
import { openContainersRoot } from "../../src/store/roots/containers_root.ts";
import type { ReadOnlyRoot } from "../../src/store/roots/read_only_root.ts";
import { resolveTarget } from "../../src/store/target.ts";
import { verify } from "../../src/store/verify.ts";
import { WorkerPool } from "../../src/worker/pool.ts";
import { ContainersTool } from "../support/containers_tool.ts";
import { needsPrograms, needsRealImage, unlessMissing } from "../support/interop.ts";
import { concat, rawMember } from "../support/tar_builder.ts";

const needs = process.geteuid?.() === 0 ? needsPrograms("containers-storage") : unlessMissing("mounting needs root");
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const MAPS = ["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"];

const BASE = tar(
  rawMember({ name: "dir/", type: "5", mode: 0o755, mtime: 5 }),
  rawMember({ name: "dir/kept", uid: 1000, gid: 1001, mtime: 6 }, "kept\n"),
  rawMember({ name: "dir/gone", mtime: 7 }, "gone\n"),
  rawMember({ name: "cut/", type: "5", mode: 0o755, mtime: 8 }),
  rawMember({ name: "cut/old", mtime: 9 }, "old\n"),
  rawMember({ name: "hard", type: "1", linkName: "dir/kept", mtime: 6, uid: 1000, gid: 1001 }),
  rawMember({ name: "link", type: "2", linkName: "dir", mtime: 10 }),
);
const TOP = tar(
  rawMember({ name: "dir/.wh.gone", mtime: 11 }),
  rawMember({ name: "cut/", type: "5", mode: 0o700, mtime: 12 }),
  rawMember({ name: "cut/.wh..wh..opq", mtime: 12 }),
  rawMember({ name: "cut/new", mtime: 13, uid: 5 }, "new\n"),
);
/** For user namespaces, where the tool cannot mark opaque directories. */
const WITHOUT_OPAQUE = tar(rawMember({ name: "dir/.wh.gone", mtime: 11 }));
const OTHER = tar(rawMember({ name: "other", mtime: 14 }, "other\n"));

const CHANGES_OF_TOP = ["modify cut", "add cut/new", "delete cut/old", "modify dir", "delete dir/gone"];

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

    it("compares layers as the tool does", async () => {
      using tool = toolIn(scratch, driver);
      fill(tool);
      const root = openContainersRoot(tool.root, { pool });
      for (const ref of ["top", "mapped-top"]) assert.deepEqual(await changedIn(root, ref), CHANGES_OF_TOP, ref);
      for (const ref of ["container", "mapped-container"]) assert.deepEqual(await changedIn(root, ref), [], ref);
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

    it("gives data items by every key that the tool takes", async () => {
      using tool = toolIn(scratch, driver);
      tool.importLayer("base", BASE);
      const keys = ["plain", "Up", "a/b", "???", "ü", "sub.1", "two words", "U"];
      for (const key of keys) tool.run("set-layer-data", "-f", tool.file(`of ${key}`), "base", key);
      const root = openContainersRoot(tool.root, { pool });
      const id = parseRecordId("base");
      assert.deepEqual(
        root.reading.catalog.get(id).bigData?.map(({ key }) => key),
        tool.json("list-layer-data", "-j", "base"),
      );
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
    assert.deepEqual(await changedIn(root, "container"), ["add added", "delete cut"]);
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
    assert.deepEqual(await changedIn(root, "mapped-container"), []);
    assert.deepEqual(await changedIn(root, "mapped-top"), ["modify dir", "delete dir/gone"]);
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

/** Names, kinds, sizes and times of all that is below a directory. */
function listingOf(path: string): string {
  return spawnSync("find", [path, "-printf", "%P %y %m %U:%G %s %n %T@ %C@\\n"], { maxBuffer: 1 << 28 }).stdout
    .toString();
}

function layerOf(reading: ReadingContext, ref: string): LayerRecord {
  const target = resolveTarget(reading, ref);
  if (target.kind !== "layer") throw new Error(`"${ref}" is no layer with a ChainID`);
  return target.record;
}

/** What a layer changes; the root, which no archive here describes, has its own time in each layer. */
async function changedIn({ reading }: ReadOnlyRoot, ref: string): Promise<string[]> {
  const found = await changes(reading, resolveTarget(reading, ref));
  return found.filter(({ path }) => path !== ROOT).map(({ kind, path }) => `${kind} ${path}`);
}

function toolIn(scratch: string, driver: ContainersDriver, options: readonly string[] = []): ContainersTool {
  return new ContainersTool(mkdtempSync(`${scratch}/root-`), driver, options);
}

/** Layers of every kind. */
function fill(tool: ContainersTool, top = TOP): void {
  tool.importLayer("base", BASE, "-n", "first", "-n", "weird/name:tag");
  tool.importLayer("top", top, "base");
  tool.importLayer("mapped-base", BASE, ...MAPS);
  tool.importLayer("mapped-top", top, ...MAPS, "mapped-base");
  tool.run("create-layer", "-i", "container", "top");
  tool.run("create-layer", "-i", "mapped-container", ...MAPS, "top");
}

function compareRecords(tool: ContainersTool, { reading }: ReadOnlyRoot): void {
  const theirs = tool.json("layers", "-j") as Record<string, unknown>[];
  const { records, findings } = reading.catalog.list();
  assert.deepEqual(findings, []);
  assert.deepEqual(records.map(({ id }) => String(id)), theirs.map(({ id }) => id));
  for (const record of records) {
    const [their] = tool.json("layer", "-j", record.id) as Record<string, unknown>[];
    assert.ok(their);
    assert.deepEqual(record.names, their["names"] ?? []);
    assert.equal(record.created, their["created"]);
    assert.equal(record.content?.diffId, their["diff-digest"]);
    assert.equal(record.blob?.digest, their["compressed-diff-digest"]);
    assert.equal(record.blob?.size, their["compressed-size"]);
    assert.equal(record.content?.archiveBytes, their["diff-size"]);
    assert.equal(record.parent, their["parent"]);
    assert.deepEqual(reading.catalog.get(record.id).id, record.id);
  }
}

async function compareArchives(tool: ContainersTool, { reading }: ReadOnlyRoot, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { chainId, diffId } = layerOf(reading, id);
    const theirs = tool.run("diff", "-u", id);
    const ours = await bytesOf(exportLayer(reading, chainId));
    assert.equal(digestOf(ours), diffId);
    assert.deepEqual(ours, theirs);
    assert.deepEqual(await verify(reading, chainId), { chainId, state: "ok" });
  }
}

async function digestOfStream(stream: ReadableStream<Uint8Array>): Promise<string> {
  const digest = new DigestWriter();
  for await (const chunk of stream) digest.update(chunk);
  return digest.finish();
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk.slice());
  return concat(...chunks);
}

function tar(...members: readonly Uint8Array[]): Uint8Array {
  return concat(...members, new Uint8Array(1024));
}
