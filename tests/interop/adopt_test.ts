// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that containers/storage has made become this package's own: the same bytes come out, and that tool's store is as it
 * was.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { LayerStore } from "../../mod.ts";
import type { ContainersDriver } from "../../src/metadata/containers_storage/layout.ts";
import { BASE, bytesOf, fill, tar, TOP } from "../support/containers_layers.ts";
import { ContainersTool } from "../support/containers_tool.ts";
import { Dockerd } from "../support/dockerd.ts";
import { needsPrograms, unlessMissing } from "../support/interop.ts";
import { rawMember } from "../support/tar_builder.ts";
import { traceOf } from "../support/trace.ts";

const needs = process.geteuid?.() === 0 ? needsPrograms("containers-storage") : unlessMissing("mounting needs root");
const dockerNeeds = process.geteuid?.() === 0
  ? needsPrograms("dockerd", "docker")
  : unlessMissing("dockerd needs root");
const SCRATCH_PARENT = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const OTHER = tar(rawMember({ name: "other", mtime: 14 }, "other\n"));
const MAP = [{ containerId: 0, hostId: 100_000, size: 65_536 }];

for (
  const [from, into] of [["overlay", "overlay2"], ["overlay", "vfs"], ["vfs", "vfs"], ["vfs", "overlay2"]] as const
) {
  describe(`adopting into ${into} from containers/storage with ${from}`, needs, () => {
    it("gives every layer back as that tool does, with all that its record tells", async () => {
      await using scratch = new Scratch(from, into);
      const { tool } = scratch;
      fill(tool);
      tool.run("set-layer-data", "-f", tool.file("of a/b"), "top", "a/b");
      tool.run("set-metadata", "-m", "text \u00fc", "top");
      const before = scratch.trace();
      const store = await scratch.open();
      const report = await store.adopt({ from: tool.root, refs: "all" });
      assert.deepEqual(report.failed, []);
      assert.deepEqual(scratch.trace(), before);
      assert.deepEqual(report.adopted.map(({ id }) => id).sort(), ["base", "mapped-base", "mapped-top", "top"]);
      assert.deepEqual(report.skipped.map(({ id }) => id).sort(), ["container", "mapped-container"]);
      assert.equal(store.layers().layers.size, 2, "mapped layers are the same ones");
      for (const { id } of report.adopted) {
        assert.deepEqual(await bytesOf(store.catalog.diff(id)), id.endsWith("base") ? BASE : TOP, id);
      }
      const [base, top, mapped] = ["weird/name:tag", "top", "mapped-top"].map((ref) => store.catalog.get(ref));
      assert.deepEqual([base?.id, base?.names], ["base", ["first", "weird/name:tag"]]);
      assert.deepEqual([top?.parent, top?.metadata], ["base", "text \u00fc"]);
      // Where the kernel maps owners in mounts, the tool keeps such layers as they are, and notes no maps.
      const maps = scratch.isMapped("mapped-top") ? [MAP, MAP] : [undefined, undefined];
      assert.deepEqual([mapped?.uidMap, mapped?.gidMap], maps);
      assert.deepEqual(await bytesOf(store.catalog.bigData("top", "a/b")), new TextEncoder().encode("of a/b"));
      await scratch.requireSound(store);
    });

    it("makes a layer of what a container changes, under the ids of its image", async () => {
      await using scratch = new Scratch(from, into);
      const { tool } = scratch;
      fill(tool);
      for (const container of ["container", "mapped-container"]) {
        const path = new TextDecoder().decode(tool.run("mount", container)).trim().split("\n").at(-1) ?? "";
        writeFileSync(join(path, "written"), "written\n");
        if (container === "mapped-container") {
          const owner = scratch.isMapped(container) ? "100007:100008" : "7:8";
          spawnSync("chown", [owner, join(path, "written")]);
        }
        tool.run("unmount", container);
      }
      const before = scratch.trace();
      const store = await scratch.open();
      const { adopted, failed } = await store.adopt({ from: tool.root, refs: ["container", "mapped-container"] });
      const top = (await store.adopt({ from: tool.root, refs: ["top"] })).adopted[0]?.chainId;
      assert.deepEqual(failed, []);
      assert.deepEqual(scratch.trace(), before);
      for (const [{ id, chainId }, owner] of [[adopted[0]!, 0], [adopted[1]!, 7]] as const) {
        const archive = await bytesOf(store.catalog.diff(id));
        const listed = spawnSync("tar", ["--numeric-owner", "-tvf", "-"], { input: archive }).stdout.toString();
        const line = listed.split("\n").find((each) => each.endsWith("written"));
        assert.match(line ?? listed, new RegExp(` ${owner}/`), id);
        assert.equal(store.layers().layers.get(chainId)?.parent, top);
      }
      await scratch.requireSound(store);
    });

    it("refuses a layer that two tars were applied to, and goes on", async () => {
      await using scratch = new Scratch(from, into);
      const { tool } = scratch;
      tool.importLayer("base", BASE);
      tool.run("create-layer", "-i", "twice", "base");
      tool.run("apply-diff", "-f", tool.file(OTHER), "twice");
      tool.run("apply-diff", "-f", tool.file(TOP), "twice");
      tool.importLayer("upon", OTHER, "twice");
      const store = await scratch.open();
      const { adopted, failed } = await store.adopt({ from: tool.root, refs: "all" });
      assert.deepEqual(failed.map(({ id, error }) => [id, error.code]), [["twice", "CORRUPT"], ["upon", "CORRUPT"]]);
      assert.deepEqual(adopted.map(({ id }) => id), ["base"]);
      assert.equal(store.layers().layers.size, 1);
      await scratch.requireSound(store);
    });

    it("gives stand-ins files of their own", async () => {
      if ((from === "vfs") !== (into === "vfs")) return;
      await using scratch = new Scratch(from, into);
      const { tool } = scratch;
      fill(tool);
      const store = await scratch.open([tool.root]);
      await store.catalog.put({ id: "upon", parent: "top", diff: new Blob([OTHER.slice()]).stream() });
      const report = await store.adopt({ from: tool.root, refs: ["top"] });
      assert.deepEqual([report.failed, report.adopted.map(({ id }) => id)], [[], ["top"]]);
      assert.deepEqual([...store.layers().layers.values()].flatMap(({ outside }) => outside ?? []), []);
      assert.deepEqual(await bytesOf(store.catalog.diff("upon")), OTHER);
      await scratch.requireSound(store);
    });
  });
}

describe("adopting from Docker's root", dockerNeeds, () => {
  it("gives every image's layers, and what a container changes", async () => {
    const dir = mkdtempSync(`${SCRATCH_PARENT}/strata-adopt-`);
    try {
      const root = join(dir, "docker");
      const container = await fillDocker(dir, root);
      const before = traceOf(root);
      const options = { root: join(dir, "own"), runRoot: join(dir, "own-run"), driver: "overlay2" } as const;
      await using store = await LayerStore.open({ ...options, durability: "none", pace: "full" });
      const all = await store.adopt({ from: root, refs: "all" });
      assert.deepEqual([all.failed, all.skipped.map(({ id }) => id)], [[], [container]]);
      assert.equal(all.adopted.length, 1);
      assert.deepEqual(await bytesOf(store.catalog.diff(all.adopted[0]!.id)), BASE);
      const { adopted, failed } = await store.adopt({ from: root, refs: [container] });
      assert.deepEqual([failed, adopted.map(({ id }) => id)], [[], [container]]);
      const changed = (await store.catalog.changes(container)).map(({ kind, path }) => `${kind} ${path}`);
      assert(changed.includes("add written"), changed.join());
      assert.deepEqual(traceOf(root), before);
      assert.deepEqual((await store.fsck({})).findings, []);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

/** An image of one layer, and a container of it that has written; gives the container's id. */
async function fillDocker(dir: string, root: string): Promise<string> {
  await using dockerd = await Dockerd.start(join(dir, "exec"), root);
  writeFileSync(join(dir, "layer.tar"), BASE);
  dockerd.docker("import", join(dir, "layer.tar"), "base:1");
  const container = dockerd.docker("create", "base:1", "/none");
  writeFileSync(join(dir, "written"), "written");
  dockerd.docker("cp", join(dir, "written"), `${container}:/written`);
  return container;
}

class Scratch implements AsyncDisposable {
  readonly #dir = mkdtempSync(`${SCRATCH_PARENT}/strata-adopt-`);
  readonly #driver: string;
  readonly tool: ContainersTool;
  #store: LayerStore | undefined;

  constructor(from: ContainersDriver, into: string) {
    this.tool = new ContainersTool(this.#dir, from);
    this.#driver = into;
  }

  async open(readOnlyRoots: readonly string[] = []): Promise<LayerStore> {
    const [root, runRoot] = [join(this.#dir, "own"), join(this.#dir, "own-run")];
    const options = { root, runRoot, driver: this.#driver, readOnlyRoots };
    return this.#store = await LayerStore.open({ ...options, durability: "none", pace: "full" });
  }

  /** What shows that nobody touched the tool's root. */
  trace(): readonly string[] {
    return traceOf(this.tool.root);
  }

  /** Whether the tool keeps a layer under other ids. */
  isMapped(id: string): boolean {
    return (this.tool.records("layer", id)[0]?.uidmap ?? []).length > 0;
  }

  async requireSound(store: LayerStore): Promise<void> {
    assert.deepEqual((await store.fsck({})).findings, []);
    for (const chainId of store.layers().layers.keys()) assert.equal((await store.verify(chainId)).state, "ok");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store?.[Symbol.asyncDispose]();
    this.tool[Symbol.dispose]();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
