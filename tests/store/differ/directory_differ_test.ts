// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import {
  type ContentCounts,
  DEFAULT_LIMITS,
  describeDirectory,
  directoryDiffer,
  type DirectoryManifest,
  type ErrorCode,
  hasCode,
  type Layer,
  LayerStore,
  type OpenOptions,
  packDirectory,
  type Reuse,
} from "../../../mod.ts";
import { fromBytes, toBytes } from "../../../src/core/bytes.ts";
import { digestOf } from "../../../src/core/digest.ts";
import { joinPath, parseLayerPath, ROOT } from "../../../src/core/layer_path.ts";
import { RootedDir } from "../../../src/host/rooted_dir.ts";
import { type LoopFileSystem, mountLoop, needsLoop } from "../../support/loop_file_system.ts";
import { MEMORY, whyNoTmpfs } from "../../support/memory_file_system.ts";
import { bytesOf, DRIVERS, ScratchRoot } from "../../support/scratch_store.ts";
import { differencesOf, listTree } from "../../support/tree_listing.ts";

const AS_ROOT = process.getuid?.() === 0 ? {} : { skip: "needs root" };
const BIG = "x".repeat(200_000);
const NO_UTF8 = joinPath(ROOT, fromBytes(Uint8Array.of(0x66, 0xff)));

/** A directory with one of nearly everything. */
function makeTree(dir: string): string {
  mkdirSync(join(dir, "bin/deep"), { recursive: true });
  writeFileSync(join(dir, "bin/big"), BIG);
  writeFileSync(join(dir, "bin/deep/small"), "small");
  writeFileSync(join(dir, "empty"), "");
  chmodSync(join(dir, "bin/big"), 0o751);
  linkSync(join(dir, "bin/big"), join(dir, "bin/big2"));
  symlinkSync("/etc/passwd", join(dir, "link"));
  using root = RootedDir.open(dir);
  root.create(NO_UTF8, 0o640).close();
  root.setTimes(NO_UTF8, { mtime: { sec: -5, nsec: 123_456_789 }, atime: undefined });
  return dir;
}

async function take(
  store: LayerStore,
  source: string,
  options: { manifest?: DirectoryManifest; reuse?: Reuse; parent?: Layer } = {},
): Promise<{ layer: Layer; contents: ContentCounts }> {
  const { manifest = await describeDirectory(source), parent, ...rest } = options;
  const staged = await store.stageDiff(directoryDiffer({ source, manifest, ...rest }));
  const { contents, diffId } = staged.output;
  const { layer, archive } = await store.registerStagedDiff(staged, parent ? { parent: parent.chainId } : {});
  assert.deepEqual([archive, layer.diffId], ["given", diffId]);
  assert(contents !== undefined);
  return { layer, contents };
}

function counts(values: Partial<ContentCounts>): ContentCounts {
  return { filesReused: 0, bytesReused: 0, filesCopied: 0, bytesCopied: 0, bytesShared: 0, ...values };
}

for (const driver of DRIVERS) {
  describe(`directoryDiffer() on ${driver}`, () => {
    it("makes the layer that packing the directory makes", async () => {
      using scratch = new ScratchRoot();
      using packed = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await packed.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      const { layer, contents } = await take(store, source);
      const same = await other.register(packDirectory(source));
      assert.equal(layer.chainId, same.chainId);
      assert.deepEqual(await bytesOf(layer.tarStream()), await bytesOf(same.tarStream()));
      assert.equal(contents.filesCopied, 2);
      assert.equal(contents.bytesCopied, BIG.length + 5);
      const trees = [store, other].map((of) => listTree(of.differTarget(layer.chainId)));
      assert.deepEqual(differencesOf(trees[0]!, trees[1]!), []);
      assert.deepEqual(scratch.leftovers(), []);
    });

    for (const reuse of ["reflink", "hard link", "copy"] as const) {
      it(`takes contents from the store's layers (${reuse}), so that the source need not have them`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const source = makeTree(join(scratch.dir, "source"));
        const first = await take(store, source);
        const manifest = await describeDirectory(source);
        writeFileSync(join(source, "new"), "brand-new");
        const newer = await describeDirectory(source);
        rmSync(join(source, "bin"), { recursive: true });
        const before = listTree(store.differTarget(first.layer.chainId));

        const { layer, contents } = await take(store, source, { manifest: newer, reuse });
        assert.notEqual(layer.chainId, first.layer.chainId);
        const { bytesShared: _shared, ...rest } = contents;
        const { bytesShared: _none, ...expected } = counts({
          filesReused: 2,
          bytesReused: BIG.length + 5,
          filesCopied: 1,
          bytesCopied: 9,
        });
        assert.deepEqual(rest, expected);
        assert.equal((await store.verify(layer.chainId)).state, "ok");
        assert.equal((await store.verify(first.layer.chainId)).state, "ok");
        assert.deepEqual(
          differencesOf(before, listTree(store.differTarget(first.layer.chainId))),
          [],
          "unchanged (I2)",
        );

        // The same content under a new name is found, too; and a file of other content under the old name is not.
        writeFileSync(join(source, "renamed"), BIG);
        writeFileSync(join(source, "again"), BIG);
        writeFileSync(join(source, "new"), "new-brand");
        const moved = await take(store, source, { reuse });
        assert.deepEqual([moved.contents.filesReused, moved.contents.filesCopied], [2, 1]);
        assert.equal((await store.verify(moved.layer.chainId)).state, "ok");
        const tree = store.differTarget(moved.layer.chainId);
        assert.notEqual(statSync(join(tree, "renamed")).ino, statSync(join(tree, "again")).ino, "two files stay two");
        assert.equal(manifest.version, 1);
      });
    }

    it("makes files one with those of other layers only where all their metadata is the same", AS_ROOT, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      const { layer } = await take(store, source);
      writeFileSync(join(source, "new"), "1");
      chmodSync(join(source, "bin/deep/small"), 0o600);
      const { layer: second, contents } = await take(store, source, { reuse: "hard link" });
      const inode = (of: Layer, name: string): number => statSync(join(store.differTarget(of.chainId), name)).ino;
      assert.equal(inode(layer, "bin/big"), inode(second, "bin/big"));
      assert.notEqual(inode(layer, "bin/deep/small"), inode(second, "bin/deep/small"));
      assert(contents.bytesShared >= BIG.length);
      assert.equal(statSync(join(store.differTarget(layer.chainId), "bin/deep/small")).mode & 0o777, 0o644);
      await store.release(layer);
      assert.equal((await store.verify(second.chainId)).state, "ok", "the other layer's removal takes nothing away");
    });

    it("leaves comparisons alone that meet files of several layers", AS_ROOT, async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      await take(store, source);
      writeFileSync(join(source, "new"), "1");
      const { layer } = await take(store, source, { reuse: "hard link" });
      await store.createRWLayer("box", { parent: layer.chainId });
      assert.deepEqual(await store.changes("box"), []);
      const path = await store.mount("box");
      writeFileSync(join(path, "mine"), "2");
      await store.unmount("box");
      const names = (await store.changes("box")).map(({ path }) => path).filter((path) => path !== "");
      assert.deepEqual(names, ["mine"]);
    });

    it("puts a layer with whiteouts on another", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const base = await take(store, makeTree(join(scratch.dir, "source")));
      const mtime = { sec: 7, nsec: 0 };
      const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mtime };
      const manifest: DirectoryManifest = {
        version: 1,
        entries: [
          { path: "bin", type: "dir", mode: 0o700, ...own },
          { path: "bin", type: "whiteout" },
          { path: "empty", type: "whiteout" },
        ],
      };
      const { layer } = await take(store, join(scratch.dir, "source"), { manifest, parent: base.layer });
      const changes = await store.changes(layer.chainId);
      assert(changes.some(({ path, kind }) => path === "empty" && kind === "delete"));
      assert(changes.some(({ path, kind }) => path === "bin/big" && kind === "delete"), "bin is another directory");
    });

    it("refuses a file that is not what the manifest says, and leaves nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      const manifest = await describeDirectory(source);
      const refused = async (code: ErrorCode): Promise<void> => {
        const staging = store.stageDiff(directoryDiffer({ source, manifest }));
        await assert.rejects(staging, (error) => (assert(hasCode(error, code), String(error)), true));
        assert.deepEqual(scratch.leftovers(), []);
      };
      writeFileSync(join(source, "bin/deep/small"), "Small");
      await refused("DIGEST_MISMATCH");
      writeFileSync(join(source, "bin/deep/small"), "smaller");
      await refused("DIGEST_MISMATCH");
      rmSync(join(source, "bin/deep/small"));
      await refused("NOT_FOUND");
      mkdirSync(join(source, "bin/deep/small"));
      await refused("NOT_FOUND");
      rmSync(source, { recursive: true });
      await refused("NOT_FOUND");
      assert.equal(store.layers().layers.size, 0);
    });

    it("refuses hostile manifests, and leaves nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      const own = { mode: 0o644, uid: 0, gid: 0, mtime: { sec: 0, nsec: 0 } };
      const file = { ...own, type: "file", path: "bin/big", size: BIG.length, digest: digestOf(BIG) };
      const link = { ...own, type: "symlink", path: "d", target: "/etc" };
      const names = ["../evil", "/etc/evil", "bin/../../evil", "a//b", "a/", "", "a\0b", ".wh.bin", "bin/.wh..wh..opq"];
      const hostile: (readonly [string, unknown[]])[] = [
        ...names.map((path): [string, unknown[]] => [path, [{ ...file, path }]]),
        ["through a symlink", [link, { ...file, path: "d/evil" }]],
        ["below a file", [file, { ...file, path: "bin/big/evil" }]],
        ["twice", [file, file]],
        ["a file as the root", [{ ...file, path: "." }]],
        ["a link to nothing", [{ ...link, type: "hardlink", target: "../../etc/passwd" }]],
        ["a device that hides", [{ ...own, path: "w", type: "char", major: 0, minor: 0 }]],
      ];
      for (const [what, entries] of hostile) {
        const manifest = JSON.stringify({ version: 1, entries });
        await assert.rejects(async () => {
          const staged = await store.stageDiff(directoryDiffer({ source, manifest }));
          await store.registerStagedDiff(staged);
        }, (error) => (assert(hasCode(error, "INVALID_ARCHIVE"), `${what}: ${error}`), true));
      }
      for (const text of ["{", "[]", '{"version":2,"entries":[]}', '{"version":1,"entries":[{}]}']) {
        await assert.rejects(
          store.stageDiff(directoryDiffer({ source, manifest: text })),
          (error) => hasCode(error, "INVALID_ARCHIVE"),
        );
      }
      assert.deepEqual([scratch.leftovers(), scratch.layerDirs(driver)], [[], []]);
    });

    it("ends when its signal fires, and leaves nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const source = makeTree(join(scratch.dir, "source"));
      const differ = directoryDiffer({ source, manifest: await describeDirectory(source) });
      const stop = new AbortController();
      const staging = store.stageDiff(differ, { signal: stop.signal });
      stop.abort();
      await assert.rejects(staging, (error) => hasCode(error, "ABORTED"));
      const staged = await store.stageDiff(differ);
      const registering = store.registerStagedDiff(staged, { signal: stop.signal });
      await assert.rejects(registering, (error) => hasCode(error, "ABORTED"));
      assert.deepEqual([scratch.leftovers(), store.layers().layers.size], [[], 0]);
    });
  });
}

describe("directoryDiffer() with limits", () => {
  it("refuses what passes them before it copies", async () => {
    using scratch = new ScratchRoot();
    const source = makeTree(join(scratch.dir, "source"));
    const manifest = await describeDirectory(source);
    for (const limits of [{ entriesMax: 3 }, { unpackedBytesMax: 1000 }]) {
      await using store = await scratch.open(
        { driver: "vfs", limits: { ...DEFAULT_LIMITS, ...limits } } as OpenOptions,
      );
      await assert.rejects(
        store.stageDiff(directoryDiffer({ source, manifest })),
        (error) => hasCode(error, "LIMIT_EXCEEDED") && error.detail.limit === Object.keys(limits)[0],
      );
    }
  });
});

/** Stores whose layers share blocks, or cannot. */
async function sharedBytes(root: string, reuse: Reuse): Promise<ContentCounts> {
  await using store = await LayerStore.open({ root, runRoot: `${root}-run`, driver: "vfs", durability: "none" });
  using scratch = new ScratchRoot();
  const source = makeTree(join(scratch.dir, "source"));
  await take(store, source);
  writeFileSync(join(source, "new"), reuse);
  const { layer, contents } = await take(store, source, { reuse });
  assert.equal(readFileSync(join(store.differTarget(layer.chainId), "bin/big"), "utf8"), BIG);
  assert.equal((await store.verify(layer.chainId)).state, "ok");
  return contents;
}

describe("directoryDiffer() and shared blocks", () => {
  for (const [type, mkfs] of [["btrfs", []], ["xfs", ["-m", "reflink=1"]]] as const) {
    it(`shares them on ${type}`, needsLoop(type, { mkfs }), async () => {
      using image: LoopFileSystem = mountLoop(type, { mkfs });
      const own = { filesReused: 2, bytesReused: BIG.length + 5, filesCopied: 1 };
      const reflinked = await sharedBytes(join(image.path, "a"), "reflink");
      assert.deepEqual(reflinked, counts({ ...own, bytesCopied: 7, bytesShared: BIG.length + 5 }));
      const linked = await sharedBytes(join(image.path, "b"), "hard link");
      assert.deepEqual(linked, counts({ ...own, bytesCopied: 9, bytesShared: BIG.length + 5 }));
      const copied = await sharedBytes(join(image.path, "c"), "copy");
      assert.deepEqual(copied, counts({ ...own, bytesCopied: 4, bytesShared: 0 }));
    });
  }

  const why = whyNoTmpfs(MEMORY);
  it("copies on a tmpfs, which has none", why === undefined ? {} : { skip: why }, async () => {
    const dir = mkdtempSync(join(MEMORY, "strata-differ-"));
    try {
      const contents = await sharedBytes(join(dir, "a"), "reflink");
      assert.deepEqual(
        contents,
        counts({ filesReused: 2, bytesReused: BIG.length + 5, filesCopied: 1, bytesCopied: 7 }),
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe("describeDirectory()", () => {
  it("tells all that a tar would hold, names that are no text as base64", async () => {
    using scratch = new ScratchRoot();
    const manifest = await describeDirectory(makeTree(join(scratch.dir, "source")), { exclude: ["deep"] });
    const shown = manifest.entries.map((entry) => [entry.type, typeof entry.path === "string" ? entry.path : "base64"]);
    assert.deepEqual(shown, [
      ["dir", "."],
      ["dir", "bin"],
      ["file", "bin/big"],
      ["hardlink", "bin/big2"],
      ["file", "empty"],
      ["file", "base64"],
      ["symlink", "link"],
    ]);
    const odd = manifest.entries[5]!;
    assert.deepEqual(odd.path, { base64: Buffer.from(toBytes(NO_UTF8)).toString("base64") });
    assert("mtime" in odd);
    assert.deepEqual(odd.mtime, { sec: -5, nsec: 123_456_789 });
    assert.equal(parseLayerPath(NO_UTF8), NO_UTF8);
    // A manifest survives being text.
    assert.deepEqual(JSON.parse(JSON.stringify(manifest)), manifest);
  });

  it("fails for what is no directory, and when its signal fires", async () => {
    using scratch = new ScratchRoot();
    await assert.rejects(describeDirectory(join(scratch.dir, "none")), (error) => hasCode(error, "IO"));
    await assert.rejects(
      describeDirectory(scratch.dir, { signal: AbortSignal.abort() }),
      (error) => hasCode(error, "ABORTED"),
    );
  });
});
