// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import process from "node:process";
import { gzipSync } from "node:zlib";
import {
  DEFAULT_LIMITS,
  type Differ,
  type DifferOptions,
  type ErrorCode,
  fromText,
  hasCode,
  type LayerStore,
  parseChainId,
  parseDigest,
  registerDriver,
} from "../../../mod.ts";
import { parseLayerPath } from "../../../src/core/layer_path.ts";
import { dir, file, hardlink, layerTar, opaque, symlink, whiteout } from "../../../src/testing/layer_builder.ts";
import { archiveDiffer, diffIdOf, putContent, tarSplitOf } from "../../support/archive_differ.ts";
import { Child } from "../../support/child.ts";
import renaming from "../../driver/example_driver.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { listTree } from "../../support/tree_listing.ts";

const AS_ROOT = process.getuid?.() === 0 ? {} : { skip: "needs root" };
const BASE_MEMBERS = [
  dir("etc", { mode: 0o750 }),
  file("etc/passwd", "root", { mode: 0o4711, uid: 7, gid: 8, mtime: { sec: 5, nsec: 9 } }),
  hardlink("etc/again", "etc/passwd"),
  file("etc/old", "old"),
  file("empty"),
  symlink("alias", "etc"),
  file("twice", "first"),
  file("twice", "second"),
];
const TOP_MEMBERS = [
  whiteout("etc/old"),
  opaque("d"),
  file("alias/new", "new", { mode: 0o600 }),
  file("etc/passwd", "mine"),
];
const BASE = layerTar(BASE_MEMBERS);
const TOP = layerTar(TOP_MEMBERS);
const WRONG = parseDigest(`sha256:${"0".repeat(64)}`);

registerDriver("renaming", renaming, { module: moduleOf("../../driver/example_driver") });

function moduleOf(path: string): URL {
  return new URL(`${path}.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url);
}

async function refused(code: ErrorCode, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => (assert(hasCode(error, code), `expected ${code}, and got ${error}`), true));
}

for (const driver of [...DRIVERS, "renaming"]) {
  describe(`stageDiff() and registerStagedDiff() on ${driver}`, () => {
    it("make the layers that the archives make", AS_ROOT, async () => {
      using scratch = new ScratchRoot();
      using plain = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await plain.open({ driver });
      const base = await store.registerStagedDiff(await store.stageDiff(archiveDiffer(BASE_MEMBERS)));
      assert.equal(base.archive, "given");
      const staged = await store.stageDiff(archiveDiffer(TOP_MEMBERS));
      const { layer } = await store.registerStagedDiff(staged, { parent: base.layer.chainId });
      const reference = await other.register(streamOf(BASE));
      const top = await other.register(streamOf(TOP), { parent: reference.chainId });
      assert.equal(layer.chainId, top.chainId);
      assert.deepEqual(await bytesOf(layer.tarStream()), TOP);
      assert.deepEqual(await bytesOf(base.layer.tarStream()), BASE);
      for (const chainId of [base.layer.chainId, layer.chainId]) {
        assert.deepEqual(await treeOf(store, chainId), await treeOf(other, chainId));
        assert.equal((await store.verify(chainId)).state, "ok");
      }
      assert.equal(existsSync(staged.dir), false);
      assert.deepEqual(scratch.leftovers(), []);
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
    });
  });
}

/** Names and attributes of a stack's tree. */
async function treeOf(store: LayerStore, chainId: string): Promise<unknown> {
  const path = await store.mount(chainId);
  try {
    return [...listTree(path)];
  } finally {
    await store.unmount(chainId);
  }
}

for (const driver of DRIVERS) {
  describe(`what is staged on ${driver}`, () => {
    it("lies beside the store, unlocked, until it is registered or discarded", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      let seen: DifferOptions | undefined;
      const staged = await store.stageDiff(archiveDiffer(BASE_MEMBERS, {
        output: { bigData: new Map([["toc", Uint8Array.of(1)]]), metadata: "note", tocDigest: WRONG },
        tamper: async (_, options) => {
          seen = options;
          // Others work meanwhile.
          await other.release(await other.register(streamOf(BASE)));
        },
      }));
      assert(seen !== undefined);
      assert(seen.workDir.startsWith(join(scratch.root, "strata/tmp")) && existsSync(seen.workDir));
      assert.deepEqual([seen.driver.name, seen.layers().length], [driver, 0]);
      assert.equal(staged.archive, "given");
      assert.deepEqual([staged.output.metadata, staged.output.tocDigest], ["note", WRONG]);
      assert.deepEqual(staged.output.bigData?.get("toc"), Uint8Array.of(1));
      assert(existsSync(join(staged.dir, "etc/passwd")));
      assert.deepEqual((await other.gc({ minAgeMs: 0 })).outcomes, [], "gc sees that somebody works there");
      assert.deepEqual([store.layers().layers.size, scratch.leftovers().length], [0, 1]);

      await staged[Symbol.asyncDispose]();
      await staged[Symbol.asyncDispose]();
      assert.deepEqual(scratch.leftovers(), []);
      await refused("NOT_RETAINED", () => store.registerStagedDiff(staged));
    });

    it("is removed by gc when its process was killed, and not before", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const runRoot = join(scratch.dir, "run");
      await using child = new Child({ task: "stage", root: scratch.root, runRoot, driver });
      assert.deepEqual(await child.firstWord(), { type: "done" });
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
      assert.equal((await child.kill()).signal, "SIGKILL");
      assert.equal(scratch.leftovers().length, 1);
      await store.gc({ minAgeMs: 0 });
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is used up by registering, and belongs to its store", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const staged = await store.stageDiff(archiveDiffer(BASE_MEMBERS));
      await refused("NOT_RETAINED", () => other.registerStagedDiff(staged));
      await refused("NOT_FOUND", () => store.registerStagedDiff(staged, { parent: parseChainId(WRONG) }));
      const both = await Promise.allSettled([store.registerStagedDiff(staged), store.registerStagedDiff(staged)]);
      assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
      await refused("NOT_RETAINED", () => store.registerStagedDiff(staged));
      assert.deepEqual([store.layers().layers.size, scratch.leftovers().length], [1, 0]);
    });

    it("gives the layer that is here already, and does not make it twice", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const first = await store.register(streamOf(BASE));
      const { layer } = await store.registerStagedDiff(await store.stageDiff(archiveDiffer(BASE_MEMBERS)));
      assert.equal(layer.chainId, first.chainId);
      assert.notEqual(layer, first);
      assert.equal(scratch.layerDirs(driver).length, 1);
    });

    it("may have a gzipped tar-split, and files that the archive does not name", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const staged = await store.stageDiff(archiveDiffer(BASE_MEMBERS, {
        output: { tarSplit: streamOf(gzipSync(tarSplitOf(BASE)), 7) },
        tamper: (target) => putContent(target, parseLayerPath(fromText("etc/stowaway")), Uint8Array.of(1)),
      }));
      const { layer } = await store.registerStagedDiff(staged);
      assert.equal(layer.diffId, diffIdOf(BASE));
      assert.equal(existsSync(join(store.differTarget(layer.chainId), "etc/stowaway")), false);
    });

    it("is refused when it is not what it should be, and nothing is left", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const passwd = parseLayerPath(fromText("etc/passwd"));
      const changed = (content: string): Differ =>
        archiveDiffer(BASE_MEMBERS, {
          tamper(target) {
            target.unlink(passwd);
            if (content !== "") putContent(target, passwd, new TextEncoder().encode(content));
          },
        });
      const cases: readonly (readonly [ErrorCode, Differ])[] = [
        ["CORRUPT", changed("toor")],
        ["CORRUPT", changed("roots")],
        ["CORRUPT", changed("")],
        ["DIGEST_MISMATCH", archiveDiffer(BASE_MEMBERS, { output: { diffId: diffIdOf(TOP) } })],
        [
          "CORRUPT",
          archiveDiffer(BASE_MEMBERS, { output: { tarSplit: streamOf(new TextEncoder().encode("nonsense")) } }),
        ],
        ["INVALID_ARCHIVE", archiveDiffer([file("d/.wh.")])],
      ];
      for (const [code, differ] of cases) {
        await refused(code, async () => await store.registerStagedDiff(await store.stageDiff(differ)));
      }
      const good = await store.stageDiff(archiveDiffer(BASE_MEMBERS));
      await refused("DIGEST_MISMATCH", () => store.registerStagedDiff(good, { expectedDiffId: diffIdOf(TOP) }));
      await good[Symbol.asyncDispose]();
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });

    it("cannot lead outside, whatever the differ has put there", AS_ROOT, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      writeFileSync(join(scratch.dir, "secret"), "secret");
      const members = [file("through/secret", "secret"), file("secret", "secret")];
      for (const name of ["through", "secret"]) {
        const path = parseLayerPath(fromText(name));
        const differ = archiveDiffer(members, {
          tamper(target) {
            target.removeTree(path);
            target.symlink(path, fromText(name === "through" ? scratch.dir : join(scratch.dir, "secret")));
          },
        });
        await refused("CORRUPT", async () => await store.registerStagedDiff(await store.stageDiff(differ)));
      }
      assert.equal(statSync(join(scratch.dir, "secret")).nlink, 1);
    });

    it("is packed when its differ has no tar-split", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await store.register(
        streamOf(layerTar([dir("etc"), file("etc/old", "old"), dir("d"), file("d/f", "f")])),
      );
      const differ: Differ = {
        applyDiff(target) {
          putContent(target, parseLayerPath(fromText("etc/new")), new TextEncoder().encode("new"));
          target.mkdir(parseLayerPath(fromText("d")), 0o711);
          return Promise.resolve({ whiteouts: [fromText("etc/old"), fromText("d")] });
        },
      };
      const staged = await store.stageDiff(differ);
      assert.equal(staged.archive, "packed");
      const { layer, archive } = await store.registerStagedDiff(staged, { parent: base.chainId });
      assert.equal(archive, "packed");
      const kinds = (await store.changes(layer.chainId)).map(({ path, kind }) => `${kind} ${path}`);
      for (const change of ["add etc/new", "delete etc/old", "delete d/f"]) assert(kinds.includes(change), change);
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      const again = await store.registerStagedDiff(await store.stageDiff(differ), { parent: base.chainId });
      assert.equal(typeof again.layer.diffId, "string");
    });

    it("leaves nothing when the differ fails, gives bad whiteouts, or the signal fires", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const stop = new AbortController();
      const failing = (what: () => Promise<object>): Differ => ({
        async applyDiff(target) {
          putContent(target, parseLayerPath(fromText("f")), Uint8Array.of(1));
          return await what();
        },
      });
      await assert.rejects(
        store.stageDiff(failing(() => Promise.reject(new TypeError("no network")))),
        (error) => error instanceof TypeError && error.message === "no network",
      );
      for (const whiteout of ["../x", "/x", "", "a/../b"]) {
        const differ = failing(() => Promise.resolve({ whiteouts: [fromText(whiteout)] }));
        await refused("INVALID_ARGUMENT", () => store.stageDiff(differ));
      }
      const both = failing(() => Promise.resolve({ whiteouts: [fromText("x")], tarSplit: streamOf(tarSplitOf(BASE)) }));
      await refused("INVALID_ARGUMENT", () => store.stageDiff(both));
      const late = failing(() => {
        stop.abort();
        return Promise.resolve({});
      });
      await refused("ABORTED", () => store.stageDiff(late, { signal: stop.signal }));
      await refused("ABORTED", () => store.stageDiff(late, { signal: stop.signal }));
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is held to the store's limits", async () => {
      using scratch = new ScratchRoot();
      for (const limits of [{ unpackedBytesMax: 3000 }, { entriesMax: 3 }]) {
        await using store = await scratch.open({ driver, limits: { ...DEFAULT_LIMITS, ...limits } });
        const output = { tarSplit: streamOf(gzipSync(tarSplitOf(BASE))) };
        const staged = await store.stageDiff(archiveDiffer(BASE_MEMBERS, { output }));
        await refused("LIMIT_EXCEEDED", () => store.registerStagedDiff(staged));
      }
      await using store = await scratch.open({ driver, limits: { ...DEFAULT_LIMITS, unpackedBytesMax: 10_000 } });
      let cancelled = "no";
      const endless = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(4096).fill(0x20)),
        cancel: () => void (cancelled = "yes"),
      });
      const endlessDiffer = archiveDiffer(BASE_MEMBERS, { output: { tarSplit: endless } });
      await refused("LIMIT_EXCEEDED", () => store.stageDiff(endlessDiffer));
      assert.equal(cancelled, "yes");
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });

    it("gives its contents to the layer instead of copying them", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const staged = await store.stageDiff(archiveDiffer(BASE_MEMBERS));
      const { ino } = statSync(join(staged.dir, "etc/passwd"));
      const { layer } = await store.registerStagedDiff(staged);
      const { ino: after, nlink } = statSync(join(store.differTarget(layer.chainId), "etc/passwd"));
      assert.deepEqual([after, nlink], [ino, 2], "its own two names are all it has");
    });
  });
}

describe("differTarget()", () => {
  it("is where a layer's own files are, writable ones included", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const layer = await store.register(streamOf(BASE));
    assert(existsSync(join(store.differTarget(layer.chainId), "etc/passwd")));
    await store.createRWLayer("box", { parent: layer.chainId });
    assert(store.differTarget("box").includes(store.getMountId("box")));
    await refused("NOT_FOUND", () => Promise.resolve().then(() => store.differTarget("none")));
  });
});
