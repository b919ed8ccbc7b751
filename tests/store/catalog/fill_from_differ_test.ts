// SPDX-License-Identifier: Apache-2.0
/**
 * Records whose contents a differ brings: containers/storage's `ApplyDiffWithDiffer`, `ApplyDiffFromStagingDirectory` and
 * `CleanupStagingDirectory`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  type Differ,
  type DifferOutput,
  type ErrorCode,
  fromText,
  hasCode,
  type LayerStore,
  parseDigest,
  type StagedLayerDiff,
} from "../../../mod.ts";
import { digestOf } from "../../../src/core/digest.ts";
import { parseLayerPath } from "../../../src/core/layer_path.ts";
import { dir, file, layerTar, whiteout } from "../../../src/testing/layer_builder.ts";
import { archiveDiffer, diffIdOf, putContent } from "../../support/archive_differ.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/gone", "gone\n")]);
const MEMBERS = [dir("etc"), file("etc/motd", "changed\n"), whiteout("etc/gone"), file("top", "top\n")];
const TAR = layerTar(MEMBERS);
const DIFF_ID = diffIdOf(TAR);
const BLOB = parseDigest(`sha256:${"b".repeat(64)}`);
const TOC = parseDigest(`sha256:${"c".repeat(64)}`);
const TOLD: DifferOutput = {
  blobDigest: BLOB,
  blobBytes: 1234,
  compression: "zstd",
  tocDigest: TOC,
  metadata: "the differ's note",
  bigData: new Map([["toc", bytes("{}")], ["own", bytes("the differ's")]]),
};
/** What types rule out, and a differ that is no TypeScript tells all the same. */
const MALFORMED: readonly DifferOutput[] = [
  '{"blobDigest":"sha256:no","blobBytes":1}',
  '{"blobBytes":-5}',
  '{"compression":"lz4"}',
  '{"tocDigest":5}',
  '{"metadata":{"not":"text"}}',
].map((told): DifferOutput => JSON.parse(told));

for (const driver of DRIVERS) {
  describe(`a record filled by a differ on ${driver}`, () => {
    it("stands for the layer, with the text and the data items that the differ told", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const { catalog } = store;
      await catalog.setBigData("blank", "kept", streamOf(bytes("before")));
      await catalog.setBigData("blank", "own", streamOf(bytes("before")));
      const staged = await catalog.applyDiffWithDiffer(archiveDiffer(MEMBERS, { output: TOLD }));
      assert(existsSync(join(staged.dir, "top")));
      assert.deepEqual([staged.output.metadata, staged.output.diffId], [TOLD.metadata, DIFF_ID]);

      const filled = await catalog.applyDiffFromStagingDirectory("blank", staged, {
        flags: { pull: "done", new: [1] },
      });
      assert.equal(existsSync(staged.dir), false);
      assert.deepEqual(scratch.leftovers(), []);
      assert.deepEqual(catalog.list().records.find(({ id }) => id === "blank"), filled);
      assert.deepEqual(filled.flags, { pull: "done", kept: true, new: [1] });
      assert.deepEqual([catalog.metadata("blank"), filled.names, filled.parent], [
        TOLD.metadata,
        ["blank-name"],
        "base",
      ]);
      assert.deepEqual(catalog.bigDataNames("blank"), ["kept", "own", "toc"]);
      assert.deepEqual(await bytesOf(catalog.bigData("blank", "own")), bytes("the differ's"));
      assert.deepEqual(await bytesOf(catalog.bigData("blank", "kept")), bytes("before"));
      assert.equal(catalog.bigDataDigest("blank", "toc"), digestOf(bytes("{}")));

      const { content, blob, target } = catalog.get("blank");
      assert.equal(target.kind === "layer" && target.awaits, undefined);
      assert.deepEqual([content?.diffId, content?.archiveBytes], [DIFF_ID, TAR.length]);
      assert.deepEqual(blob, { digest: BLOB, size: 1234, compression: "zstd", tocDigest: TOC });
      for (
        const found of [
          catalog.layersByTocDigest(TOC),
          catalog.layersByCompressedDigest(BLOB),
          catalog.layersByUncompressedDigest(DIFF_ID),
        ]
      ) {
        assert.deepEqual(found.map(({ id }) => id), ["blank"]);
      }
      assert.deepEqual(await bytesOf(catalog.diff("blank")), TAR);
      const path = await catalog.mount("blank");
      assert.equal(readFileSync(join(path, "etc/motd"), "utf8"), "changed\n");
      assert.equal(existsSync(join(path, "etc/gone")), false);
      await catalog.unmount("blank");
      assert.deepEqual((await store.fsck({ depth: "contents" })).findings, []);
      assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, [], "the layer of nothing went");
    });

    it("remembers the archive, and keeps its own text, where the differ tells of neither", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const staged = await store.catalog.applyDiffWithDiffer(archiveDiffer(MEMBERS, { output: { tocDigest: TOC } }));
      const { metadata, blob, flags, bigData } = await store.catalog.applyDiffFromStagingDirectory("blank", staged);
      assert.equal(metadata, "own text");
      assert.deepEqual(blob, { digest: DIFF_ID, size: TAR.length, compression: "none", tocDigest: TOC });
      assert.deepEqual([flags, bigData], [{ pull: "partial", kept: true }, undefined]);
    });

    it("shares the layer that another record stands for already", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      await store.catalog.put({ id: "other", parent: "base", diff: streamOf(TAR) });
      const dirs = scratch.layerDirs(driver).length;
      await store.catalog.applyDiffFromStagingDirectory("blank", await stage(store));
      assert.deepEqual(store.catalog.get("blank").content, store.catalog.get("other").content);
      assert.equal(scratch.layerDirs(driver).length, dirs - 1, "the layer of nothing went, and none came");
    });

    it("is filled once, of two attempts at a time also", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const attempts = [await stage(store), await stage(store)];
      const outcomes = await Promise.allSettled(
        attempts.map((staged) => store.catalog.applyDiffFromStagingDirectory("blank", staged)),
      );
      assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected"]);
      const [, second] = attempts;
      assert(second !== undefined);
      const before = settledTrace(scratch);
      await refused("CONFLICT", () => store.catalog.applyDiffFromStagingDirectory("blank", second));
      assert.deepEqual(settledTrace(scratch), before, "a refusal changes nothing, and brings no data items");
      await store.catalog.cleanupStagingDirectory(second);
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is as it was when the contents are not what was told, and what was staged is gone", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const motd = parseLayerPath(fromText("etc/motd"));
      const cases: readonly (readonly [ErrorCode, Differ])[] = [
        ["DIGEST_MISMATCH", archiveDiffer(MEMBERS, { output: { ...TOLD, diffId: diffIdOf(BASE) } })],
        [
          "CORRUPT",
          archiveDiffer(MEMBERS, {
            output: TOLD,
            tamper(target) {
              target.unlink(motd);
              putContent(target, motd, bytes("tampere\n"));
            },
          }),
        ],
        ["LIMIT_EXCEEDED", archiveDiffer(MEMBERS, { output: { ...TOLD, metadata: "x".repeat(5 << 20) } })],
        ...MALFORMED.map((told) =>
          ["INVALID_ARGUMENT", archiveDiffer(MEMBERS, { output: { ...TOLD, ...told } })] as const
        ),
      ];
      for (const [code, differ] of cases) {
        const before = settledTrace(scratch);
        const staged = await store.catalog.applyDiffWithDiffer(differ);
        await refused(code, () => store.catalog.applyDiffFromStagingDirectory("blank", staged));
        assert.deepEqual(settledTrace(scratch), before, code);
        assert.deepEqual(scratch.leftovers(), [], code);
        await refused("NOT_RETAINED", () => store.catalog.applyDiffFromStagingDirectory("blank", staged));
      }
      const empty = { ...TOLD, bigData: new Map([["", bytes("no key")]]) };
      const staged = await store.catalog.applyDiffWithDiffer(archiveDiffer(MEMBERS, { output: empty }));
      await refused("INVALID_ARGUMENT", () => store.catalog.applyDiffFromStagingDirectory("blank", staged));
      await store.catalog.cleanupStagingDirectory(staged);
      await store.catalog.applyDiffFromStagingDirectory("blank", await stage(store));
    });

    it("is as it was when the work is aborted", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const before = settledTrace(scratch);
      const staged = await stage(store);
      const signal = AbortSignal.abort();
      await refused("ABORTED", () => store.catalog.applyDiffFromStagingDirectory("blank", staged, { signal }));
      await store.catalog.cleanupStagingDirectory(staged);
      assert.deepEqual(settledTrace(scratch), before);
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is not found, mounted, or lain on: what was staged can be given to another", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      await using other = await scratch.open({ driver });
      const { catalog } = store;
      const staged = await stage(store);
      const apply = (ref: string) => catalog.applyDiffFromStagingDirectory(ref, staged);
      await refused("NOT_FOUND", () => apply("nothing"));
      await refused("CONFLICT", () => apply("base"));
      await catalog.mount("blank");
      try {
        await refused("IN_USE", () => apply("blank"));
      } finally {
        await catalog.unmount("blank");
      }
      await catalog.create({ id: "child", parent: "blank", access: "writable" });
      await refused("IN_USE", () => apply("blank"));
      await refused("CONFLICT", () => apply("child"));
      await catalog.delete("child");
      await refused("NOT_RETAINED", () => other.catalog.applyDiffFromStagingDirectory("blank", staged));
      assert.deepEqual(catalog.bigDataNames("blank"), []);
      assert.equal(scratch.leftovers().length, 1);
      const { content } = await apply("blank");
      assert.equal(content?.diffId, DIFF_ID);
      assert.deepEqual(scratch.leftovers(), []);
    });
  });

  describe(`a record of a further root on ${driver}`, () => {
    it("gets nothing, for its root is only read", async () => {
      using shelf = new ScratchRoot();
      using scratch = new ScratchRoot();
      await (await awaiting(shelf, driver))[Symbol.asyncDispose]();
      const before = settledTrace(shelf);
      await using store = await scratch.open({ driver, readOnlyRoots: [shelf.root] });
      const staged = await stage(store);
      await refused("NOT_PERMITTED", () => store.catalog.applyDiffFromStagingDirectory("blank", staged));
      await store.catalog.cleanupStagingDirectory(staged);
      assert.deepEqual(settledTrace(shelf), before);
      assert.deepEqual(scratch.leftovers(), []);
    });
  });

  describe(`what a differ staged for the catalog on ${driver}`, () => {
    it("is cleaned up once, and then no more to be applied", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const before = settledTrace(scratch);
      const staged = await stage(store);
      assert.equal(scratch.leftovers().length, 1);
      await store.catalog.cleanupStagingDirectory(staged);
      assert.deepEqual([existsSync(staged.dir), scratch.leftovers()], [false, []]);
      await store.catalog.cleanupStagingDirectory(staged);
      await refused("NOT_RETAINED", () => store.catalog.applyDiffFromStagingDirectory("blank", staged));
      assert.deepEqual(settledTrace(scratch), before);
    });

    it("is nothing when the differ fails or is stopped", async () => {
      using scratch = new ScratchRoot();
      await using store = await awaiting(scratch, driver);
      const before = settledTrace(scratch);
      const broken = archiveDiffer(MEMBERS, { tamper: () => Promise.reject(new TypeError("no network")) });
      await assert.rejects(store.catalog.applyDiffWithDiffer(broken), new TypeError("no network"));
      const stop = new AbortController();
      const late = archiveDiffer(MEMBERS, { tamper: () => stop.abort() });
      const { signal } = stop;
      await refused("ABORTED", () => store.catalog.applyDiffWithDiffer(late, { signal }));
      await refused("ABORTED", () => store.catalog.applyDiffWithDiffer(late, { signal }));
      assert.deepEqual(scratch.leftovers(), []);
      assert.deepEqual(settledTrace(scratch), before);
    });
  });
}

/** A store with a base, and a record on it that awaits its diff. */
async function awaiting(scratch: ScratchRoot, driver: string): Promise<LayerStore> {
  const store = await scratch.open({ driver });
  await store.catalog.put({ id: "base", diff: streamOf(BASE) });
  await store.catalog.createWithFlags({
    id: "blank",
    names: ["blank-name"],
    parent: "base",
    metadata: "own text",
    flags: { pull: "partial", kept: true },
  });
  return store;
}

function stage(store: LayerStore): Promise<StagedLayerDiff> {
  return store.catalog.applyDiffWithDiffer(archiveDiffer(MEMBERS, { output: TOLD }));
}

/** What is published: all files, and what shows that they are the same. Work under way and notes are elsewhere. */
function settledTrace({ root }: ScratchRoot): string[] {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
  return names.filter((name) => !/^strata\/|\/users\/state$/.test(name)).flatMap((name) => {
    const stat = lstatSync(join(root, name));
    return stat.isDirectory() ? [] : [[name, stat.ino, stat.mtimeMs, stat.size].join(" ")];
  });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

async function refused(code: ErrorCode, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => (assert(hasCode(error, code), `expected ${code}, and got ${error}`), true));
}
