// SPDX-License-Identifier: Apache-2.0
/**
 * Adopting shares blocks where the file system has them, and copies where it has not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { LayerStore } from "../../../mod.ts";
import { dir, file, hardlink, layerTar } from "../../../src/testing/layer_builder.ts";
import { type InteropOptions, unlessMissing } from "../../support/interop.ts";
import { type ImageFileSystem, mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { bytesOf, streamOf } from "../../support/scratch_store.ts";

const LARGE = new Uint8Array(3 * 1024 * 1024).map((_, i) => (i * 7919) >> 8);
const BASE = layerTar([dir("d"), file("d/large", LARGE), hardlink("d/link", "d/large"), file("empty")]);
const TOP = layerTar([file("d/small", "small\n")]);
const CONTENT_BYTES = LARGE.length + "small\n".length;

for (const type of ["btrfs", "xfs"] as const) {
  const options = type === "xfs" ? { mkfs: ["-m", "reflink=1"] } : {};
  describe(`adopting on ${type}`, needsLoop(type, options), () => {
    for (const [from, into] of [["overlay2", "overlay2"], ["overlay2", "vfs"], ["vfs", "overlay2"]] as const) {
      it(`shares all contents, from ${from} into ${into}`, async () => {
        using image = mountLoop(type, options);
        await fill(join(image.path, "from"), from);
        await using store = await open(join(image.path, "into"), into);
        const { bytesShared, bytesCopied } = await store.adopt({ from: join(image.path, "from"), refs: "all" });
        assert.deepEqual([bytesShared, bytesCopied], [CONTENT_BYTES, 0]);
        await requireWhole(store);
      });
    }

    it("shares the contents of layers that were only stood for", async () => {
      using image = mountLoop(type, options);
      const from = join(image.path, "from");
      await fill(from, "overlay2");
      await using store = await open(join(image.path, "into"), "overlay2", [from]);
      const upon = await store.catalog.put({ id: "upon", parent: "top", diff: streamOf(TOP) });
      const { bytesShared, bytesCopied } = await store.adopt({ from, refs: ["base", "top"] });
      assert.deepEqual([bytesShared, bytesCopied], [CONTENT_BYTES, 0]);
      assert.deepEqual([...store.layers().layers.values()].flatMap(({ outside }) => outside ?? []), []);
      rmSync(from, { recursive: true });
      assert.deepEqual(await bytesOf(store.catalog.diff(upon.id)), TOP);
      await requireWhole(store);
    });

    it("occupies no room for what it shares", async () => {
      using image = mountLoop(type, options);
      await fill(join(image.path, "from"), "overlay2");
      await using store = await open(join(image.path, "into"), "overlay2");
      const before = usedBytes(image.path);
      await store.adopt({ from: join(image.path, "from"), refs: "all" });
      assert(usedBytes(image.path) - before < LARGE.length / 2);
    });
  });
}

describe("adopting without shared blocks", tmpfs(), () => {
  it("copies all contents, and says so", async () => {
    const scratch = mkdtempSync("/dev/shm/strata-adopt-");
    try {
      await fill(join(scratch, "from"), "vfs");
      await using store = await open(join(scratch, "into"), "vfs");
      const { bytesShared, bytesCopied } = await store.adopt({ from: join(scratch, "from"), refs: ["base", "top"] });
      assert.deepEqual([bytesShared, bytesCopied], [0, CONTENT_BYTES]);
      await requireWhole(store);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });

  it("copies from one file system to another", needsLoop("btrfs" satisfies ImageFileSystem), async () => {
    using image = mountLoop("btrfs");
    const scratch = mkdtempSync(join(tmpdir(), "strata-adopt-"));
    try {
      await fill(join(image.path, "from"), "vfs");
      await using store = await open(join(scratch, "into"), "vfs");
      const { bytesShared, bytesCopied } = await store.adopt({ from: join(image.path, "from"), refs: "all" });
      assert.deepEqual([bytesShared, bytesCopied], [0, CONTENT_BYTES]);
      await requireWhole(store);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
});

async function fill(root: string, driver: string): Promise<void> {
  await using store = await open(root, driver);
  await store.catalog.put({ id: "base", diff: streamOf(BASE) });
  await store.catalog.put({ id: "top", parent: "base", diff: streamOf(TOP) });
}

async function open(root: string, driver: string, readOnlyRoots: readonly string[] = []): Promise<LayerStore> {
  mkdirSync(root, { recursive: true });
  const options = { root, runRoot: `${root}-run`, driver, readOnlyRoots } as const;
  return await LayerStore.open({ ...options, durability: "none", pace: "full" });
}

async function requireWhole(store: LayerStore): Promise<void> {
  assert.deepEqual(await bytesOf(store.catalog.diff("base")), BASE);
  assert.deepEqual(await bytesOf(store.catalog.diff("top")), TOP);
  assert.deepEqual((await store.fsck({})).findings, []);
}

function usedBytes(path: string): number {
  spawnSync("sync", ["-f", path]);
  return Number(spawnSync("df", ["--output=used", "-B1", path], { encoding: "utf8" }).stdout.split("\n")[1]);
}

function tmpfs(): InteropOptions {
  return existsSync("/dev/shm") && process.geteuid?.() === 0
    ? { skip: false }
    : unlessMissing("there is no /dev/shm, or no root");
}
