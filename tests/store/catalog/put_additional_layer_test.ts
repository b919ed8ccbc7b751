// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { type Digest, hasCode, type LayerStore, parseDigest } from "../../../mod.ts";
import { digestOf } from "../../../src/core/digest.ts";
import { probeOverlay } from "../../../src/driver/overlay/mounting/probe.ts";
import { dir, file, layerTar, symlink } from "../../../src/testing/layer_builder.ts";
import { estargz, INDEX_JSON } from "../../support/chunked_blobs.ts";
import { makeFifo } from "../../support/made_root.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { traceOf } from "../../support/trace.ts";

const skip = await probeOverlay(tmpdir()) ?? false;
const TOC = parseDigest(`sha256:${"1".repeat(64)}`);
const REF = "docker.io/library/x:latest";
/** The last member is one that such stores keep to themselves. */
const LAYER = layerTar([dir("d"), file("d/a", "alpha"), file("b", "beta"), file(".no.prefetch.landmark", "x")]);
const BLOB = gzipSync(LAYER);
const BASE = layerTar([file("base", "base")]);
const INFO = {
  id: "theirs",
  "compressed-diff-digest": String(digestOf(BLOB)),
  "diff-digest": String(digestOf(LAYER)),
  "toc-digest": String(TOC),
};

describe("Catalog.putAdditionalLayer()", { skip }, () => {
  it("keeps a record of a layer whose files stay where they are", async () => {
    using outside = new AdditionalStore();
    const place = outside.add(TOC);
    using scratch = new ScratchRoot();
    const before = traceOf(place);
    {
      await using store = await outside.open(scratch);
      await store.catalog.put({ id: "base", diff: streamOf(BASE) });
      const options = { id: "lazy", names: ["localhost/lazy:1"], metadata: "text", flags: { lazy: true } };
      const record = await store.catalog.putAdditionalLayer({ tocDigest: TOC, parent: "base", ...options });
      assert.deepEqual([record.id, record.names, record.parent], ["lazy", ["localhost/lazy:1"], "base"]);
      assert.deepEqual(record.blob, {
        digest: digestOf(BLOB),
        size: BLOB.length,
        compression: "gzip",
        tocDigest: TOC,
      });
    }
    await using store = await outside.open(scratch);
    const entry = store.catalog.get("localhost/lazy:1");
    assert.deepEqual([entry.metadata, entry.flags, entry.content?.diffId], ["text", { lazy: true }, digestOf(LAYER)]);
    assert.deepEqual(await bytesOf(store.catalog.diff("lazy")), LAYER);
    assert.equal((await store.verify(store.resolveChain("lazy"))).state, "ok");
    const path = await store.catalog.mount("lazy");
    assert.deepEqual(readdirSync(path).sort(), ["b", "base", "d"]);
    await store.catalog.unmount("lazy");
    const above = await store.catalog.put({ id: "above", parent: "lazy", diff: streamOf(layerTar([file("c", "c")])) });
    assert.equal(above.parent, "lazy");
    assert.deepEqual((await store.fsck({})).findings, []);
    assert.deepEqual((await store.gc({ minAgeMs: 0 })).outcomes, []);
    assert.deepEqual(traceOf(place), before);
  });

  it("tells the other store when it is gone", async () => {
    using outside = new AdditionalStore();
    const place = outside.add(TOC);
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    await store.catalog.putAdditionalLayer({ tocDigest: TOC, id: "lazy" });
    // A directory without files shows that it was to be removed.
    for (const name of readdirSync(place)) rmSync(join(place, name), { recursive: true });
    await store.catalog.delete("lazy");
    assert.equal(existsSync(place), false);
    assert.deepEqual(scratch.layerDirs("overlay2"), []);
  });

  it("finds layers by references where the store has them so", async () => {
    using outside = new AdditionalStore(":ref");
    outside.add(`${Buffer.from(REF).toString("base64")}/${TOC}`);
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    await assert.rejects(store.catalog.putAdditionalLayer({ tocDigest: TOC }), (error) => hasCode(error, "NOT_FOUND"));
    const { names } = await store.catalog.putAdditionalLayer({ tocDigest: TOC, ref: REF, names: ["a"] });
    assert.deepEqual(names, ["a"]);
  });

  it("uses a layer that is here already", async () => {
    using outside = new AdditionalStore();
    outside.add(TOC);
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    await store.catalog.put({ id: "own", diff: streamOf(LAYER) });
    await store.catalog.putAdditionalLayer({ tocDigest: TOC, id: "lazy" });
    assert.equal(store.layers().layers.size, 1);
    assert.equal(scratch.layerDirs("overlay2").length, 1);
    const found = store.catalog.layersByTocDigest(TOC);
    assert.deepEqual(found.map(({ id }) => id), ["lazy"]);
  });

  it("refuses what is not as its store says, and leaves nothing", async () => {
    using outside = new AdditionalStore();
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    const wrong = String(digestOf("wrong"));
    const cases: readonly [code: string, spoil: (place: string) => void][] = [
      ["DIGEST_MISMATCH", (place) => outside.tell(place, { ...INFO, "compressed-diff-digest": wrong })],
      ["DIGEST_MISMATCH", (place) => outside.tell(place, { ...INFO, "diff-digest": wrong })],
      ["DIGEST_MISMATCH", (place) => outside.tell(place, { ...INFO, "toc-digest": wrong })],
      ["CORRUPT", (place) => outside.tell(place, { ...INFO, "toc-digest": "x" })],
      ["CORRUPT", (place) => writeFileSync(join(place, "info"), "{")],
      ["CORRUPT", (place) => writeFileSync(join(place, "diff/b"), "BETA")],
      ["CORRUPT", (place) => writeFileSync(join(place, "diff/b"), "beta, and more")],
      ["CORRUPT", (place) => rmSync(join(place, "diff/d/a"))],
      ["CORRUPT", (place) => retarget(join(place, "diff"), "/etc")],
      ["CORRUPT", (place) => makeFifo(join(place, "blob"))],
      ["CORRUPT", (place) => makeFifo(join(place, "info"))],
      ["INVALID_ARCHIVE", (place) => writeFileSync(join(place, "blob"), BLOB.subarray(0, -20))],
    ];
    for (const [code, spoil] of cases) {
      const place = outside.add(TOC);
      spoil(place);
      const putting = store.catalog.putAdditionalLayer({ tocDigest: TOC, names: ["lazy"] });
      await assert.rejects(putting, (error) => hasCode(error, code as "CORRUPT"), `${code} ${spoil}`);
      requireNothing(store, scratch);
    }
    outside.add(TOC);
    await store.catalog.put({ id: "own", names: ["taken"], diff: streamOf(BASE) });
    for (const options of [{ id: "own" }, { names: ["taken"] }]) {
      const putting = store.catalog.putAdditionalLayer({ tocDigest: TOC, ...options });
      await assert.rejects(putting, (error) => hasCode(error, "CONFLICT"));
    }
    const stop = new AbortController();
    stop.abort();
    const aborted = store.catalog.putAdditionalLayer({ tocDigest: TOC, signal: stop.signal });
    await assert.rejects(aborted, (error) => hasCode(error, "ABORTED"));
    assert.equal(scratch.layerDirs("overlay2").length, 1);
  });

  it("takes an archive whose members replace each other", async () => {
    using outside = new AdditionalStore();
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    const replaced = [file("b", "before"), file("e", "before"), file("e/f", "before"), symlink("e", "b")];
    const layer = layerTar([...replaced, dir("d"), file("d/a", "alpha"), file("b", "beta")]);
    const place = outside.add(TOC);
    writeFileSync(join(place, "blob"), layer);
    symlinkSync("b", join(place, "diff/e"));
    outside.tell(place, {});
    await store.catalog.putAdditionalLayer({ tocDigest: TOC, id: "lazy" });
    assert.deepEqual(await bytesOf(store.catalog.diff("lazy")), layer);
  });

  it("finds the table of contents in the blob, and refuses another", async () => {
    using outside = new AdditionalStore();
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    const blob = estargz([LAYER.subarray(0, -1024)]);
    const toc = digestOf(new TextEncoder().encode(INDEX_JSON));
    for (const tocDigest of [TOC, toc]) {
      const place = outside.add(tocDigest);
      writeFileSync(join(place, "blob"), blob);
      outside.tell(place, { id: "" });
    }
    const putting = store.catalog.putAdditionalLayer({ tocDigest: TOC });
    await assert.rejects(putting, (error) => hasCode(error, "DIGEST_MISMATCH") && error.detail.actual === toc);
    requireNothing(store, scratch);
    const { id } = await store.catalog.putAdditionalLayer({ tocDigest: toc });
    assert.deepEqual(store.catalog.layersByTocDigest(toc).map((entry) => entry.id), [id]);
    assert.equal((await store.verify(store.resolveChain(id))).state, "ok");
  });

  it("says which stores it has looked through", async () => {
    using outside = new AdditionalStore();
    using scratch = new ScratchRoot();
    await using store = await outside.open(scratch);
    await assert.rejects(
      store.catalog.putAdditionalLayer({ tocDigest: TOC }),
      (error) => hasCode(error, "NOT_FOUND") && error.message.includes(outside.path),
    );
  });

  it("is nothing for drivers without such stores", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const putting = store.catalog.putAdditionalLayer({ tocDigest: TOC });
    await assert.rejects(putting, (error) => hasCode(error, "NOT_SUPPORTED"));
  });
});

/** A store whose program shows its layers by plain directories. */
class AdditionalStore implements Disposable {
  readonly #scratch = new ScratchRoot();
  readonly #flags: string;
  readonly path = join(this.#scratch.dir, "additional");

  constructor(flags = "") {
    this.#flags = flags;
    mkdirSync(this.path);
  }

  open(scratch: ScratchRoot): Promise<LayerStore> {
    const driverOptions = { "overlay2.additionallayerstore": `${this.path}${this.#flags}` };
    return scratch.open({ driver: "overlay2", driverOptions });
  }

  /** Adds a layer, whole, and gives its directory. */
  add(name: Digest | string): string {
    const place = join(this.path, name);
    rmSync(place, { recursive: true, force: true });
    mkdirSync(join(place, "diff/d"), { recursive: true });
    writeFileSync(join(place, "diff/d/a"), "alpha");
    writeFileSync(join(place, "diff/b"), "beta");
    writeFileSync(join(place, "blob"), BLOB);
    this.tell(place, INFO);
    assert.equal(readFileSync(join(place, "diff/b"), "utf8"), "beta");
    return place;
  }

  /** Has the store say something of a layer. */
  tell(place: string, info: object): void {
    writeFileSync(join(place, "info"), JSON.stringify(info));
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }
}

function retarget(path: string, target: string): void {
  rmSync(path, { recursive: true });
  symlinkSync(target, path);
}

function requireNothing(store: LayerStore, scratch: ScratchRoot): void {
  assert.equal(store.layers().layers.size, 0);
  assert.deepEqual(store.catalog.layers(), []);
  assert.deepEqual(scratch.layerDirs("overlay2"), []);
  assert.deepEqual(scratch.leftovers(), []);
}
