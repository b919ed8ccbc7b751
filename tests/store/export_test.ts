// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type ChainId, hasCode } from "../../mod.ts";
import { dir, file, hardlink, layerTar, symlink } from "../../src/testing/layer_builder.ts";
import { archive, END_MARKER, paxMember, rawMember } from "../support/tar_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([
  dir("usr"),
  dir("usr/lib"),
  file("usr/lib/a", "from below"),
  symlink("lib", "usr/lib"),
  dir("run"),
]);

/** Layers whose archives the tree alone could not give back. */
const ODD: Readonly<Record<string, Uint8Array>> = {
  "a path that comes twice": layerTar([file("a", "first"), file("a", "second, longer")]),
  "a file in a directory that a file replaces": layerTar([dir("d"), file("d/f", "lost"), file("d", "now a file")]),
  "the same path in three spellings": layerTar([file("x", "1"), file("./x", "22"), file("y/../x", "333")]),
  "a hard link whose first name is replaced": layerTar([file("f", "content"), hardlink("h", "f"), file("f", "new")]),
  "a directory with a size": archive(rawMember({ name: "d/", type: "5", size: 4096, mode: 0o755 })),
  "a hard link with a size": archive(
    rawMember({ name: "f" }, "abc"),
    rawMember({ name: "h", type: "1", linkName: "f", size: 3 }),
  ),
  "padding cut short": rawMember({ name: "f" }, "content").subarray(0, 512 + 7 + 10),
  "no end marker": rawMember({ name: "f" }, "content"),
  "one block of zeros": new Uint8Array(512),
  "nothing at all": new Uint8Array(0),
  "bytes behind the end marker": archive(
    rawMember({ name: "f" }, "content"),
    END_MARKER,
    new Uint8Array(70_000).fill(9),
  ),
  "a sparse file": archive(
    paxMember([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.name", "s"],
      ["GNU.sparse.realsize", "2048"],
    ]),
    rawMember({ name: "GNUSparseFile.0/s" }, `1\n1024\n4\n${"\0".repeat(512 - "1\n1024\n4\n".length)}data`),
  ),
  "names that are not UTF-8": archive(rawMember({ name: "caf\xe9" }, "1"), rawMember({ name: "caf\xe8" }, "2")),
  "a parent that is a symlink below": layerTar([
    file("lib/new", "through the link"),
    file("lib/a", "over the lower one"),
  ]),
  "parents that are symlinks below, one behind the other": layerTar([file("way/in/new", "far away")]),
  "a hard link to a file below": layerTar([hardlink("b", "usr/lib/a")]),
  "whiteouts with a body": archive(
    rawMember({ name: "usr/.wh.lib" }, "body"),
    rawMember({ name: ".wh..wh..opq" }, "x"),
  ),
};

/** What happens to files behind the store's back. */
const TAMPERINGS: Readonly<Record<string, (files: Files) => void>> = {
  "a file's content": ({ layer }) => rewrite(join(layer, "usr/lib/a"), (bytes) => bytes.fill(65)),
  "a file's length": ({ layer }) => writeFileSync(join(layer, "usr/lib/a"), "from below, and more"),
  "a missing file": ({ layer }) => rmSync(join(layer, "usr/lib/a")),
  "a directory in a file's place": ({ layer }) => {
    rmSync(join(layer, "usr/lib/a"));
    rmSync(join(layer, "usr/lib"), { recursive: true });
  },
  "a damaged tar-split": ({ record }) => rewrite(join(record, "tar-split.json.gz"), (bytes) => bytes.fill(0, 40, 60)),
  "a tar-split cut short": ({ record }) =>
    rewrite(join(record, "tar-split.json.gz"), (bytes) => bytes.subarray(0, bytes.length - 9)),
};

const CHILD = layerTar([file("usr/lib/b", "on top"), hardlink("c", "usr/lib/a")]);

/** What happens to a record: the layer cannot be used, and gives way when it comes again. */
const BROKEN_RECORDS: Readonly<Record<string, (files: Files) => void>> = {
  "a missing tar-split": ({ record }) => rmSync(join(record, "tar-split.json.gz")),
  "another DiffID": ({ record }) => writeFileSync(join(record, "diff"), `sha256:${"1".repeat(64)}`),
  "an empty cache-id": ({ record }) => writeFileSync(join(record, "cache-id"), ""),
  "a missing record": ({ record }) => rmSync(record, { recursive: true }),
  "nothing left but an empty record": ({ record, layer }) => {
    rmSync(join(layer, "usr"), { recursive: true });
    for (const name of readdirSync(record)) rmSync(join(record, name));
  },
};

for (const driver of DRIVERS) {
  describe(`export() on ${driver}`, () => {
    for (const [what, tar] of Object.entries(ODD)) {
      it(`gives back ${what}`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const { chainId: parent } = await store.register(streamOf(BASE));
        const { chainId } = await store.register(streamOf(tar, 1000), { parent });
        assert.deepEqual(await bytesOf(store.export(chainId)), tar);
        assert.equal((await store.verify(chainId)).state, "ok");
        assert.deepEqual(await bytesOf(store.export(parent)), BASE);
      });
    }

    for (const [what, tamper] of Object.entries(TAMPERINGS)) {
      it(`fails on ${what}, and so does verify(), until the layer is registered again`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const { chainId } = await store.register(streamOf(BASE));
        const child = await store.register(streamOf(ODD["a hard link to a file below"]!), { parent: chainId });
        await store.createRWLayer("rw", { parent: child.chainId });
        tamper(filesOf(scratch, driver, chainId));
        assert.equal((await store.verify(chainId)).state, "bad");
        await assert.rejects(async () => await bytesOf(store.export(chainId)), (error) => hasCode(error, "CORRUPT"));
        await store.register(streamOf(BASE));
        assert.deepEqual(await bytesOf(store.export(chainId)), BASE);
        assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
        assert.equal(readFileSync(join(await store.mount("rw"), "usr/lib/a"), "utf8"), "from below");
        await store.unmount("rw");
        assert.deepEqual(scratch.leftovers(), []);
      });
    }

    for (const [what, tamper] of Object.entries(BROKEN_RECORDS)) {
      it(`fails on ${what}, and registering the layer again mends it, and what lies on it`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const { chainId } = await store.register(streamOf(BASE));
        const { chainId: child } = await store.register(streamOf(CHILD), { parent: chainId });
        tamper(filesOf(scratch, driver, chainId));
        assert.equal((await store.verify(chainId)).state, "bad");
        await assert.rejects(async () => await bytesOf(store.export(chainId)));
        assert.equal((await store.fsck()).state, "damaged");
        await store.register(streamOf(BASE));
        assert.deepEqual(await bytesOf(store.export(chainId)), BASE);
        assert.deepEqual(await bytesOf(store.export(child)), CHILD);
        assert.deepEqual((await store.fsck()).findings.filter(({ severity }) => severity !== "info"), []);
        await store.gc({ minAgeMs: 0 });
        assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
      });
    }

    it("does not mind a changed time: only bytes are exported", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { chainId } = await store.register(streamOf(BASE));
      utimesSync(join(filesOf(scratch, driver, chainId).layer, "usr/lib/a"), 1, 1);
      assert.equal((await store.verify(chainId)).state, "ok");
    });
  });
}

interface Files {
  readonly record: string;
  readonly layer: string;
}

function filesOf(scratch: ScratchRoot, driver: string, chainId: ChainId): Files {
  const record = join(scratch.root, "image", driver, "layerdb/sha256", chainId.slice("sha256:".length));
  const cacheId = readFileSync(join(record, "cache-id"), "utf8");
  const layer = driver === "vfs" ? join(scratch.root, "vfs/dir", cacheId) : join(scratch.root, driver, cacheId, "diff");
  assert(readdirSync(layer).length > 0);
  return { record, layer };
}

/** Changes a file's bytes, its times kept. */
function rewrite(path: string, change: (bytes: Uint8Array) => Uint8Array): void {
  const { atime, mtime } = statSync(path);
  writeFileSync(path, change(new Uint8Array(readFileSync(path))));
  utimesSync(path, atime, mtime);
}
