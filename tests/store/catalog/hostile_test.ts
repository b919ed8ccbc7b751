// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { inspect } from "node:util";
import { isStrataError, type JsonValue, LayerStore } from "../../../mod.ts";
import { withWriteLock } from "../../../src/metadata/write_lock.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { makeFifo, SECRET } from "../../support/made_root.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const TAR = layerTar([file("kept", "kept\n")]);
const MEGABYTE = "x".repeat(1024 * 1024);
const ODD = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "../../x",
  "/etc/shadow",
  "a\u0000b",
  "\ud800",
  ".",
  "..",
];

describe("a catalog, asked for odd things", () => {
  let scratch: ScratchRoot;
  let store: LayerStore;
  beforeEach(async () => {
    scratch = new ScratchRoot();
    store = await scratch.open({ driver: "vfs" });
    await store.catalog.put({ id: "kept", names: ["first"], diff: streamOf(TAR) });
    await store.catalog.setBigData("kept", "item", text("first"));
  });
  afterEach(async () => {
    await store.close();
    scratch[Symbol.dispose]();
  });
  const catalogDir = () => join(scratch.root, "image/vfs/strata/catalog");
  const recordFile = (id: string) => join(catalogDir(), "records", `${id}.json`);

  it("keeps flags and data items under any key", async () => {
    const value: JsonValue = JSON.parse('{"__proto__":{"a":[null]},"constructor":"\\ud800"}');
    for (const key of ODD) {
      await store.catalog.setFlag("kept", key, value);
      await store.catalog.setBigData("kept", key, text(`of ${key}`));
    }
    const { flags } = store.catalog.get("kept");
    assert.deepEqual(Object.keys(flags), ODD);
    assert.deepEqual(store.catalog.layers()[0]?.flags, flags);
    for (const key of ODD) {
      assert.equal(JSON.stringify(flags[key]), JSON.stringify(value), key);
      assert.deepEqual(await bytesOf(store.catalog.bigData("kept", key)), new TextEncoder().encode(`of ${key}`));
    }
    for (const key of ODD) await store.catalog.clearFlag("kept", key);
    assert.deepEqual(store.catalog.get("kept").flags, {});
    assert.equal(({} as Record<string, unknown>)["a"], undefined);
    assert.deepEqual(readdirSync(join(catalogDir(), "data")), ["kept"]);
  });

  it("counts the mounts of records that are called as parts of objects are", async () => {
    for (const id of ["constructor", "prototype", "hasOwnProperty"]) {
      await store.catalog.add(store.resolveChain("kept"), { id });
      await store.catalog.mount(id);
      assert.equal(store.catalog.mounted(id), 1, id);
      assert.equal(await store.catalog.unmount(id), 0);
    }
  });

  it("refuses names and ids that cannot be, in few words", async () => {
    const { catalog } = store;
    for (const id of [...ODD.filter((id) => !/^[a-z]+$/i.test(id)), MEGABYTE, ""]) {
      await assert.rejects(catalog.create({ id }), isBrief("INVALID_ARGUMENT"), id.slice(0, 20));
      assert.throws(() => catalog.get(id), isBrief("NOT_FOUND"), id.slice(0, 20));
      await assert.rejects(async () => await catalog.delete(id), isBrief("NOT_FOUND"), id.slice(0, 20));
    }
    for (const name of ["", "a\u0000b", "\ud800", MEGABYTE]) {
      await assert.rejects(catalog.addNames("kept", [name]), isBrief("INVALID_ARGUMENT"));
      await assert.rejects(catalog.put({ names: [name], diff: streamOf(TAR) }), isBrief("INVALID_ARGUMENT"));
    }
    for (const key of ["", MEGABYTE]) {
      await assert.rejects(catalog.setBigData("kept", key, text("")), isBrief("INVALID_ARGUMENT"));
    }
    assert.deepEqual(catalog.layers().map(({ names }) => names), [["first"]]);
  });

  it("never writes a record that it could not read again", async () => {
    const { catalog } = store;
    const before = catalog.get("kept");
    // Three million characters, and nine million bytes.
    for (const large of ["\u20ac".repeat(3_000_000), MEGABYTE.repeat(5)]) {
      await assert.rejects(catalog.setMetadata("kept", large), isBrief("LIMIT_EXCEEDED"));
      await assert.rejects(catalog.setFlag("kept", "flag", large), isBrief("LIMIT_EXCEEDED"));
      await assert.rejects(catalog.setFlag("kept", large, 1), isBrief("LIMIT_EXCEEDED"));
      await assert.rejects(catalog.create({ metadata: large }), isBrief("LIMIT_EXCEEDED"));
    }
    assert.deepEqual(catalog.get("kept"), before);
    assert.equal(catalog.layers().length, 1);
    await catalog.setMetadata("kept", MEGABYTE.repeat(4).slice(1300));
    for (let i = 0; i < 9; i++) await catalog.setBigData("kept", `${i}`, text(`${i}`)).catch(isBrief("LIMIT_EXCEEDED"));
    const items = catalog.bigDataNames("kept").length;
    assert(items < 10);
    assert.equal(readdirSync(join(catalogDir(), "data/kept")).length, items, "what is not listed is gone");
    await catalog.setMetadata("kept", MEGABYTE);
    assert.equal(catalog.get("kept").metadata, MEGABYTE);
    assert.deepEqual(scratch.leftovers(), []);
  });

  it("reads records of an earlier version, which do not repeat their layer", async () => {
    const { content, ...older } = JSON.parse(readFileSync(recordFile("kept"), "utf8"));
    writeFileSync(recordFile("kept"), JSON.stringify(older));
    assert.deepEqual(store.catalog.get("kept").content, content);
    assert.equal(await store.catalog.size("kept"), TAR.byteLength);
    assert.deepEqual(store.catalog.layers().map(({ id, content }) => [id, content]), [["kept", content]]);
    const made = await store.catalog.create({ parent: "kept" });
    await store.catalog.applyDiff(made.id, streamOf(layerTar([file("more", "more")])));
    assert.equal((await store.fsck({})).findings.length, 0);
  });

  for (const what of ["fifo", "symlink", "directory", "torn", "deep"]) {
    it(`hides nothing behind a record that is a ${what}`, async () => {
      const { catalog } = store;
      await catalog.add(store.resolveChain("kept"), { id: "other", names: ["second"] });
      rmSync(recordFile("kept"));
      spoil(recordFile("kept"), what);
      assert.throws(() => catalog.get("kept"), { code: "CORRUPT" });
      assert.deepEqual(catalog.layers().map(({ id }) => String(id)), ["other"]);
      assert.equal(catalog.get("second").id, "other");
      await assert.rejects(catalog.addNames("other", ["first"]), { code: "CONFLICT" });
      await catalog.delete("kept");
      await catalog.addNames("other", ["first"]);
      assert.deepEqual((await store.fsck({})).findings, []);
    });
  }

  for (const what of ["fifo", "symlink", "directory", "torn"]) {
    it(`gives no data item whose file is a ${what}`, async () => {
      const dir = join(catalogDir(), "data/kept");
      const [item = ""] = readdirSync(dir);
      rmSync(join(dir, item));
      spoil(join(dir, item), what);
      const shown: string[] = [];
      const read = async () => {
        for await (const chunk of store.catalog.bigData("kept", "item")) shown.push(new TextDecoder().decode(chunk));
      };
      await assert.rejects(read, { code: "CORRUPT" });
      assert(!shown.join().includes(SECRET));
      assert((await store.fsck({ depth: "contents" })).findings.some(({ path }) => path.includes(item)));
      await store.catalog.setBigData("kept", "item", text("second"));
      assert.deepEqual(await bytesOf(store.catalog.bigData("kept", "item")), new TextEncoder().encode("second"));
    });
  }

  it("keeps who owns a name, whatever its file has become", async () => {
    const { catalog } = store;
    const names = join(catalogDir(), "names");
    const [claim = ""] = readdirSync(names);
    for (const what of ["fifo", "symlink", "directory", "torn"]) {
      renameSync(join(names, claim), join(scratch.dir, "aside"));
      spoil(join(names, claim), what);
      assert.equal(catalog.get("kept").names[0], "first");
      assert.deepEqual(catalog.layers().length, 1, what);
      assert((await store.fsck({})).findings.length > 0, what);
      await store.fsck({ repair: "safe" });
      assert.equal(catalog.get("first").id, "kept", what);
      rmSync(join(scratch.dir, "aside"));
    }
  });

  it("waits for nobody when it is not to", async () => {
    const { layout } = LayerStore.contextOf(store);
    await using impatient = await scratch.open({ driver: "vfs", lockTimeoutMs: 0 });
    await withWriteLock(layout, {}, async () => {
      const { catalog } = impatient;
      for (
        const change of [
          () => catalog.setFlag("kept", "flag", 1),
          () => catalog.addNames("kept", ["second"]),
          () => catalog.setBigData("kept", "item", text("second")),
          () => catalog.create({ id: "new" }),
          () => catalog.put({ id: "new", diff: streamOf(TAR) }),
          () => catalog.delete("kept"),
        ]
      ) await assert.rejects(change, { code: "LOCKED" }, String(change));
      assert.equal(catalog.layers().length, 1);
      assert.equal(catalog.get("kept").names.length, 1);
    });
    assert.deepEqual([scratch.leftovers(), await impatient.catalog.recover()], [[], []]);
    await impatient.catalog.setFlag("kept", "flag", 1);
  });

  it("is as it was when somebody gives up, at whatever moment", async () => {
    const { catalog } = store;
    await catalog.create({ id: "awaiting", parent: "kept" });
    const before = catalog.layers();
    const layers = store.layers().layers.size;
    for (let ms = 0; ms < 12; ms++) {
      const more = layerTar([file(`more${ms}`, `${ms}`.repeat(5000))]);
      const signal = () => ms === 0 ? AbortSignal.abort() : AbortSignal.timeout(ms * 3);
      const outcomes = await Promise.allSettled([
        catalog.put({ id: "new", names: ["new"], diff: slowly(more), signal: signal() }),
        catalog.applyDiff("awaiting", slowly(more), { signal: signal() }),
        catalog.setBigData("kept", "new", slowly(more), { signal: signal() }),
      ]);
      for (const outcome of outcomes) {
        assert(outcome.status === "rejected" && isStrataError(outcome.reason), inspect(outcome));
        assert.equal(outcome.reason.code, "ABORTED", inspect(outcome.reason));
      }
      assert.deepEqual(catalog.layers(), before);
      assert.equal(store.layers().layers.size, layers);
      assert.deepEqual([scratch.leftovers(), await catalog.recover()], [[], []]);
    }
    assert.deepEqual((await store.fsck({})).findings, []);
  });

  function spoil(path: string, what: string): void {
    const secret = join(scratch.dir, "secret");
    writeFileSync(secret, SECRET);
    if (what === "fifo") makeFifo(path);
    if (what === "symlink") symlinkSync(secret, path);
    if (what === "directory") mkdirSync(path);
    if (what === "torn") writeFileSync(path, '{"schema":1,"id":"kept","na');
    if (what === "deep") writeFileSync(path, "[".repeat(200_000));
  }
});

function text(content: string): ReadableStream<Uint8Array> {
  return streamOf(new TextEncoder().encode(content));
}

/** Never ends by itself. */
function slowly(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      if (offset < bytes.length) controller.enqueue(bytes.slice(offset, offset += 512));
      else await new Promise((resolve) => setTimeout(resolve, 5));
    },
  });
}

function isBrief(code: string): (error: unknown) => boolean {
  return (error) => {
    assert(isStrataError(error), inspect(error).slice(0, 500));
    assert.equal(error.code, code, error.message.slice(0, 200));
    assert(error.message.length < 600, error.message.slice(0, 600));
    return true;
  };
}
