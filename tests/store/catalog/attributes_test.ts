// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ErrorCode, hasCode, type JsonValue, type LayerStore } from "../../../mod.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const TAR = layerTar([file("file", "content\n")]);

describe("what a record says of itself", () => {
  it("changes one file, and no other record", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const [one, other] = [await put(store, "one", ["a"]), await put(store, "other", ["b"])];
    const { catalog } = store;
    await catalog.addNames("one", ["c", "d"]);
    await catalog.removeNames("a", ["d", "never"]);
    await catalog.setMetadata("c", "text");
    await catalog.setFlag("one", "flag", { deep: [1, "two", null] });
    await catalog.setFlag("one", "gone", true);
    await catalog.clearFlag("one", "gone");
    await catalog.clearFlag("one", "never");
    const now = catalog.get("one");
    assert.deepEqual([now.names, catalog.metadata("a")], [["c", "a"], "text"]);
    assert.deepEqual(now.flags, { flag: { deep: [1, "two", null] } });
    assert.equal(now.created, one.created);
    assert.deepEqual(catalog.list().records.find(({ id }) => id === "other"), other);
    await rejected("CONFLICT", () => catalog.addNames("one", ["b"]));
    await rejected("CONFLICT", () => catalog.setNames("other", ["x", "a"]));
    await rejected("INVALID_ARGUMENT", () => catalog.setFlag("one", "", 1));
    await rejected("NOT_FOUND", () => catalog.setMetadata("nothing", ""));
    await rejected("LIMIT_EXCEEDED", () => catalog.setMetadata("one", "x".repeat(5 << 20)));
    assert.equal(catalog.metadata("one"), "text");
    assert.deepEqual(catalog.get("b").names, ["b"], "a name is refused, not taken from another");
  });

  it("holds nothing that could not be read again, and is given back as it is kept", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const { catalog } = store;
    const made = await catalog.put({ id: "one", names: ["a", "b", "a"], diff: streamOf(TAR) });
    assert.deepEqual(made.names, ["a", "b"]);
    assert.deepEqual(catalog.list().records, [made]);
    const circle: JsonValue[] = [];
    circle.push(circle);
    for (const value of [NaN, { deep: [1, -Infinity] }, circle]) {
      await rejected("INVALID_ARGUMENT", () => catalog.setFlag("one", "flag", value));
      const options = { id: "two", flags: { value }, names: ["c"], diff: streamOf(TAR) };
      await rejected("INVALID_ARGUMENT", () => catalog.put(options));
    }
    const text: string = JSON.parse("5");
    await rejected("INVALID_ARGUMENT", () => catalog.setMetadata("one", text));
    assert.deepEqual(catalog.entries().findings, []);
    assert.deepEqual(catalog.list().records, [made]);
    assert.equal((await catalog.addNames("one", ["c"])).names.length, 3);
  });

  it("is found by id, name and prefix, with the same checks for each", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const { catalog } = store;
    await put(store, "abc-1", ["base"]);
    await catalog.put({ id: "abd-2", parent: "abc", diff: streamOf(layerTar([file("top", "top\n")])) });
    assert.deepEqual([catalog.lookup("base"), catalog.lookup("abd")], ["abc-1", "abd-2"]);
    assert.deepEqual([catalog.exists("abc-1"), catalog.exists("nothing"), catalog.exists("")], [true, false, false]);
    assert.throws(() => catalog.exists("ab"), (error) => hasCode(error, "AMBIGUOUS"));
    for (const ref of ["abc-1", "base", "abc"]) {
      await rejected("IN_USE", () => catalog.delete(ref));
    }
    for (const call of [() => catalog.changes("base", "nothing"), () => catalog.diffSize("base", "nothing")]) {
      await rejected("NOT_FOUND", call);
    }
    assert.throws(() => catalog.diff("base", "nothing"), (error) => hasCode(error, "NOT_FOUND"));
    await catalog.delete("abd");
    assert.equal((await catalog.delete("abc")).length, 1);
  });

  it("goes with everything when the catalog is wiped", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await put(store, "one", ["a"]);
    const top = await store.catalog.put({ parent: "a", diff: streamOf(layerTar([file("top", "top\n")])) });
    await store.catalog.create({ id: "work", parent: top.id, access: "writable" });
    await store.catalog.mount("work");
    writeFileSync(join(scratch.root, "image/vfs/strata/catalog/records/torn.json"), "{");
    await rejected("IN_USE", () => store.catalog.wipe());
    assert.equal(store.catalog.list().records.length, 3, "nothing is removed when something is refused");
    const deleted = await store.catalog.wipe({ whenUsed: "remove" });
    assert.equal(deleted.length, 2);
    assert.deepEqual(store.catalog.list(), { records: [], findings: [] });
    assert.deepEqual([store.layers().layers.size, store.rwLayers().mounts.size], [0, 0]);
  });
});

describe("a record's data items", () => {
  it("keep any bytes under any key", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await put(store, "one", []);
    const { catalog } = store;
    const model = new Map<string, Uint8Array>();
    const key = fc.oneof(
      fc.constantFrom("plain", "plain/", "a/b", "???", "ü", ".", "..", "ab?ab?ab?", "../../x", "\u0000", "constructor"),
      fc.string({ minLength: 1, unit: "grapheme" }),
    );
    await fc.assert(
      fc.asyncProperty(key, fc.uint8Array({ maxLength: 300 }), async (name, bytes) => {
        const item = await catalog.setBigData("one", name, streamOf(bytes));
        model.set(name, bytes);
        assert.deepEqual([item.key, item.size], [name, bytes.length]);
        for (const [each, expected] of model) {
          assert.deepEqual(await bytesOf(catalog.bigData("one", each)), expected, JSON.stringify(each));
          assert.equal(catalog.bigDataSize("one", each), expected.length);
        }
      }),
      { numRuns: 25 },
    );
    assert.deepEqual(catalog.bigDataNames("one"), [...model.keys()], "in the order in which they were first set");
    const distinct = new Set([...model.keys()].map((name) => catalog.bigDataDigest("one", name)));
    assert.equal(dataFiles(scratch, "one").length, distinct.size, "values that were replaced are gone");
    await rejected("INVALID_ARGUMENT", () => catalog.setBigData("one", "", streamOf(new Uint8Array(1))));
    assert.throws(() => catalog.bigData("one", "none"), (error) => hasCode(error, "NOT_FOUND"));
    await catalog.delete("one");
    assert.deepEqual(dataFiles(scratch, "one"), []);
  });

  it("are replaced as a whole: who reads goes on with the old bytes, and a failure leaves them", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await put(store, "one", []);
    const { catalog } = store;
    const old = new Uint8Array(1 << 20).fill(1);
    await catalog.setBigData("one", "key", streamOf(old));
    const reader = catalog.bigData("one", "key").getReader();
    const { value: first } = await reader.read();
    await catalog.setBigData("one", "key", streamOf(new Uint8Array([2])));
    const rest: Uint8Array[] = [first!];
    for (let next = await reader.read(); next.value !== undefined; next = await reader.read()) rest.push(next.value);
    assert.deepEqual(new Uint8Array(Buffer.concat(rest)), old);
    const failing = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("the source broke")),
    });
    await assert.rejects(catalog.setBigData("one", "key", failing), /the source broke/);
    assert.deepEqual(await bytesOf(catalog.bigData("one", "key")), new Uint8Array([2]));
    assert.deepEqual(scratch.leftovers(), []);
  });

  it("are compared with what was kept when they are read", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    await put(store, "one", []);
    await store.catalog.setBigData("one", "key", streamOf(new TextEncoder().encode("value")));
    const [path] = dataFiles(scratch, "one");
    writeFileSync(path!, "other");
    await assert.rejects(bytesOf(store.catalog.bigData("one", "key")), (error) => hasCode(error, "CORRUPT"));
    rmSync(path!);
    await assert.rejects(bytesOf(store.catalog.bigData("one", "key")), (error) => hasCode(error, "CORRUPT"));
    await store.catalog.setBigData("one", "key", streamOf(new TextEncoder().encode("value")));
    assert.equal(readFileSync(path!, "utf8"), "value");
  });
});

function put(store: LayerStore, id: string, names: string[]) {
  return store.catalog.put({ id, names, diff: streamOf(TAR) });
}

function dataFiles(scratch: ScratchRoot, id: string): string[] {
  const base = join(scratch.root, "image/vfs/strata/catalog/data");
  try {
    return readdirSync(join(base, id)).map((name) => join(base, id, name));
  } catch {
    return [];
  }
}

async function rejected(code: ErrorCode, act: () => Promise<unknown>): Promise<void> {
  await assert.rejects(act, (error) => hasCode(error, code));
}
