// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ChainId } from "../../../src/core/digest.ts";
import { hasCode } from "../../../src/core/errors.ts";
import { parseRecordId, type RecordId } from "../../../src/core/ids.ts";
import { type NameChange, nameFile } from "../../../src/metadata/catalog/catalog_name.ts";
import type { CatalogRecord } from "../../../src/metadata/catalog/catalog_record.ts";
import { CatalogRecords } from "../../../src/metadata/catalog/catalog_records.ts";
import { StoreLayout } from "../../../src/metadata/layout.ts";
import { parseMountName } from "../../../src/metadata/mounts.ts";
import { withWriteLock } from "../../../src/metadata/write_lock.ts";
import { chainIdOf, refusal, scratchStore } from "../store_dir.ts";

const ID = parseRecordId("r1");

function record(id: string, names: readonly string[] = [], chainId: ChainId = chainIdOf("c")): CatalogRecord {
  return {
    id: parseRecordId(id),
    names,
    target: { kind: "layer", chainId },
    created: "2026-11-21T10:00:00.000Z",
    metadata: "",
    flags: {},
  };
}

/** A catalog whose writers take the lock by themselves. */
function catalogOf(layout: StoreLayout) {
  const records = new CatalogRecords(layout, { durability: "none" });
  return {
    records,
    create: (...all: CatalogRecord[]) =>
      withWriteLock(layout, {}, (lock) => all.forEach((each) => records.create(lock, each))),
    changeNames: (id: RecordId, change: NameChange) =>
      withWriteLock(layout, {}, (lock) => records.changeNames(lock, id, change)),
    remove: (id: RecordId) => withWriteLock(layout, {}, (lock) => records.remove(lock, id)),
    repair: () => withWriteLock(layout, {}, (lock) => records.repair(lock)),
  };
}

function claimFiles(layout: StoreLayout): string[] {
  return readdirSync(layout.namesDir).sort();
}

function claim(layout: StoreLayout, name: string, content: string): void {
  mkdirSync(layout.namesDir, { recursive: true });
  writeFileSync(join(layout.namesDir, nameFile(name)), content);
}

describe("CatalogRecords keeps records", () => {
  for (const durability of ["full", "none"] as const) {
    it(`create() and get() give back the same record (${durability})`, async () => {
      using store = scratchStore();
      const records = new CatalogRecords(store.layout, { durability });
      const full: CatalogRecord = {
        ...record("r1", ["web", "library/web:1.0", "ü/…"]),
        metadata: "{\n}",
        flags: { incomplete: true, deep: { list: [1, "two", null] } },
        blob: { digest: chainIdOf("blob"), size: 5, compression: "zstd" },
      };
      const writable: CatalogRecord = { ...record("r2"), target: { kind: "writable", mountName: parseMountName("m") } };
      await withWriteLock(store.layout, {}, (lock) => {
        records.create(lock, full);
        records.create(lock, writable);
      });
      assert.deepEqual(records.get(ID), full);
      assert.deepEqual(records.getByName("ü/…"), full);
      assert.deepEqual(records.list(), { records: [full, writable], findings: [] });
      assert.deepEqual(records.nameFindings(), []);
      assert.equal(JSON.parse(readFileSync(store.layout.recordPath(ID), "utf8")).schema, 1);
    });
  }

  it("an absent catalog is empty, and reading does not make it", () => {
    using store = scratchStore();
    const records = new CatalogRecords(store.layout);
    assert.deepEqual(records.list(), { records: [], findings: [] });
    assert.deepEqual(records.nameFindings(), []);
    assert.throws(() => records.get(ID), refusal("NOT_FOUND"));
    assert.throws(() => records.getByName("x"), refusal("NOT_FOUND"));
    assert.deepEqual(readdirSync(store.root), []);
  });

  it("a torn, empty, foreign or future record is a finding and hides no other", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("good", ["g"]));
    const whole = readFileSync(store.layout.recordPath(parseRecordId("good")), "utf8");
    const bad: Record<string, string> = {
      empty: "",
      torn: whole.slice(0, 40),
      foreign: whole,
      future: whole.replace(`"schema":1`, `"schema":2`).replace("good", "future"),
      nul: "\0".repeat(whole.length),
      climbing: whole.replace(`"good"`, `"climbing"`).replace(/sha256:\w+/, "../../x"),
    };
    for (const [id, text] of Object.entries(bad)) writeFileSync(store.layout.recordPath(parseRecordId(id)), text);
    writeFileSync(join(store.layout.recordsDir, "README"), "");
    writeFileSync(join(store.layout.recordsDir, ".tmp-0123456789abcdef"), "x");
    const { records: listed, findings } = records.list();
    assert.deepEqual(listed.map(({ id }) => id), ["good"]);
    assert.deepEqual(
      findings.map(({ subject, severity }) => `${subject} ${severity}`),
      [
        "README stray",
        "climbing broken",
        "empty broken",
        "foreign broken",
        "future broken",
        "nul broken",
        "torn broken",
      ],
    );
    assert.throws(
      () => records.get(parseRecordId("torn")),
      refusal("CORRUPT", store.layout.recordPath(parseRecordId("torn")), "strata rm torn"),
    );
  });

  it("update() changes metadata and flags, and nothing else", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("r1", ["n"]));
    const after = await withWriteLock(store.layout, {}, (lock) => records.update(lock, ID, () => ({ metadata: "m" })));
    assert.deepEqual(after, { ...record("r1", ["n"]), metadata: "m" });
    await withWriteLock(store.layout, {}, (lock) => records.update(lock, ID, () => ({ flags: { f: 1 } })));
    assert.deepEqual(records.get(ID), { ...after, flags: { f: 1 } });
  });

  it("remove() frees id and names; a damaged record can be removed, too", async () => {
    using store = scratchStore();
    const { records, create, remove } = catalogOf(store.layout);
    await assert.rejects(remove(ID), refusal("NOT_FOUND"));
    await create(record("r1", ["a", "b"]), record("r2", ["c"]));
    await remove(ID);
    assert.deepEqual(claimFiles(store.layout), ["c"]);
    writeFileSync(store.layout.recordPath(parseRecordId("r2")), "");
    await remove(parseRecordId("r2"));
    assert.deepEqual(claimFiles(store.layout), []);
    assert.deepEqual(records.list(), { records: [], findings: [] });
  });

  it("referencesTo() finds the records of a stack", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("r1"), record("r2"), record("r3", [], chainIdOf("other")));
    assert.deepEqual(records.referencesTo(chainIdOf("c")).map(({ id }) => id), ["r1", "r2"]);
  });
});

describe("CatalogRecords keeps names", () => {
  it("create() refuses a taken id or name, and then leaves no trace", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("r1", ["a"]));
    await assert.rejects(create(record("r1")), refusal("CONFLICT", "r1"));
    await assert.rejects(create(record("r2", ["b", "a"])), refusal("CONFLICT", `"a"`, `"r1"`));
    assert.equal(records.has(parseRecordId("r2")), false);
    assert.deepEqual(claimFiles(store.layout), ["a"]);
  });

  it("of two stores in one process that create one name at once, one wins", async () => {
    using store = scratchStore();
    const outcomes = await Promise.allSettled(
      ["overlay2", "overlay2"].map((driver, i) =>
        catalogOf(new StoreLayout(store.root, driver)).create(record(`r${i}`, ["same"]))
      ),
    );
    assert.deepEqual(outcomes.map(({ status }) => status), ["fulfilled", "rejected"]);
    const [, lost] = outcomes;
    assert.ok(lost?.status === "rejected" && hasCode(lost.reason, "CONFLICT"));
    assert.equal(catalogOf(store.layout).records.getByName("same").id, "r0");
  });

  it("changeNames() adds before, sets and removes, without doubles", async () => {
    using store = scratchStore();
    const { records, create, changeNames } = catalogOf(store.layout);
    await create(record("r1", ["a", "a", "b"]), record("r2", ["z"]));
    assert.deepEqual(records.get(ID).names, ["a", "b"]);
    assert.deepEqual((await changeNames(ID, { how: "add", names: ["c", "b"] })).names, ["c", "b", "a"]);
    assert.deepEqual((await changeNames(ID, { how: "remove", names: ["b", "nope"] })).names, ["c", "a"]);
    assert.deepEqual((await changeNames(ID, { how: "set", names: ["d", "a"] })).names, ["d", "a"]);
    assert.deepEqual(claimFiles(store.layout), ["a", "d", "z"]);
    assert.deepEqual(records.nameFindings(), []);
    await assert.rejects(changeNames(ID, { how: "add", names: ["e", "z"] }), refusal("CONFLICT", "r2"));
    assert.deepEqual(claimFiles(store.layout), ["a", "d", "z"]);
    assert.deepEqual(records.get(ID).names, ["d", "a"]);
  });

  it("any name up to 255 characters works, and none leaves the directory", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    const names = [
      "..",
      ".",
      "../../x",
      "/etc/passwd",
      "a b",
      "%2E",
      "%sha256-",
      "ü".repeat(255),
      "🙂".repeat(255),
      "x".repeat(255),
    ];
    await create(record("r1", names));
    for (const name of names) assert.equal(records.getByName(name).id, "r1");
    assert.equal(claimFiles(store.layout).length, names.length);
    assert.deepEqual(records.nameFindings(), []);
    for (const bad of ["", "x".repeat(256), "a\nb", "\ud800"]) {
      await assert.rejects(create(record("r2", [bad])), refusal("INVALID_ARGUMENT"));
    }
  });

  it("a claim without a record, or whose record does not list it, is ignored and can be taken over", async () => {
    using store = scratchStore();
    const { records, create, changeNames } = catalogOf(store.layout);
    await create(record("r1", ["mine"]));
    claim(store.layout, "dangling", "gone");
    claim(store.layout, "unlisted", "r1");
    claim(store.layout, "torn", "");
    for (const name of ["dangling", "unlisted", "torn"]) {
      assert.throws(() => records.getByName(name), refusal("NOT_FOUND"));
    }
    assert.deepEqual(records.nameFindings().map(({ severity }) => severity), ["stray", "stray", "stray"]);
    await create(record("r2", ["dangling", "torn"]));
    await changeNames(parseRecordId("r2"), { how: "add", names: ["unlisted"] });
    assert.deepEqual(records.nameFindings(), []);
    assert.equal(records.getByName("unlisted").id, "r2");
  });

  it("a damaged record keeps its names until it is removed", async () => {
    using store = scratchStore();
    const { records, create, remove, repair } = catalogOf(store.layout);
    await create(record("r1", ["a"]));
    writeFileSync(store.layout.recordPath(ID), "{");
    await assert.rejects(create(record("r2", ["a"])), refusal("CONFLICT"));
    assert.throws(() => records.getByName("a"), refusal("CORRUPT"));
    assert.deepEqual(await repair(), []);
    await remove(ID);
    await create(record("r2", ["a"]));
  });

  it("repair() removes strays, restores lost claims, and leaves a name with its owner", async () => {
    using store = scratchStore();
    const { records, create, repair } = catalogOf(store.layout);
    await create(record("r1", ["lost", "shared"]), record("r2", ["x"]));
    rmSync(join(store.layout.namesDir, "lost"));
    claim(store.layout, "dangling", "gone");
    writeFileSync(join(store.layout.namesDir, ".tmp-0123456789abcdef"), "r1");
    writeFileSync(join(store.layout.recordsDir, ".tmp-0123456789abcdef"), "r1");
    const r2 = store.layout.recordPath(parseRecordId("r2"));
    writeFileSync(r2, readFileSync(r2, "utf8").replace(`"x"`, `"x","shared"`));
    assert.throws(() => records.getByName("lost"), refusal("NOT_FOUND"));
    assert.equal((await repair()).length, 4);
    assert.deepEqual(records.nameFindings(), []);
    assert.deepEqual(claimFiles(store.layout), ["lost", "shared", "x"]);
    assert.equal(records.getByName("lost").id, "r1");
    assert.deepEqual(records.get(parseRecordId("r2")).names, ["x"]);
    assert.deepEqual(readdirSync(store.layout.recordsDir), ["r1.json", "r2.json"]);
  });
});

describe("CatalogRecords.resolve()", () => {
  const c = chainIdOf("c");
  const hex = c.slice("sha256:".length);

  it("takes an id, a name, a ChainID and prefixes of ids and ChainIDs", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("alpha", ["web"]), record("beta"), record("alpine", ["alp"], chainIdOf("other")));
    const ids = (ref: string) => records.resolve(ref).records.map(({ id }) => id);
    assert.deepEqual(ids("alpha"), ["alpha"]);
    assert.deepEqual(ids("web"), ["alpha"]);
    assert.deepEqual(ids("alp"), ["alpine"], "a name goes before a prefix");
    assert.deepEqual(ids("bet"), ["beta"]);
    assert.deepEqual(ids(c), ["alpha", "beta"]);
    assert.deepEqual(ids(hex.slice(0, 7)), ["alpha", "beta"]);
    assert.deepEqual(ids(`sha256:${hex.slice(0, 7)}`), ["alpha", "beta"]);
    assert.equal(records.resolve("web").chainId, c);
    assert.throws(() => records.resolve("alph4"), refusal("NOT_FOUND", "alph4"));
    for (const none of ["", "sha256:", "we", "sha256:alpha"]) {
      assert.throws(() => records.resolve(none), refusal("NOT_FOUND"), none);
    }
    assert.throws(() => records.resolve("al"), (error) => {
      assert.ok(hasCode(error, "AMBIGUOUS"));
      assert.deepEqual(error.detail.candidates, ["alpha", "alpine"]);
      return true;
    });
  });

  it("finds layers without a record, and is not confused by ids that are the ChainID's digits", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record(hex));
    const bare = chainIdOf("bare");
    assert.deepEqual(records.resolve(bare.slice(0, 19), () => [c, bare]), { records: [], chainId: bare });
    assert.deepEqual(records.resolve(hex.slice(0, 6), () => [c, bare]).records.map(({ id }) => id), [hex]);
    assert.throws(() => records.resolve("sha256", () => [c, bare]), refusal("NOT_FOUND"));
  });

  it("a damaged record does not get in the way of others", async () => {
    using store = scratchStore();
    const { records, create } = catalogOf(store.layout);
    await create(record("r1", ["a"]), record("r2", ["b"]));
    writeFileSync(store.layout.recordPath(ID), "");
    assert.equal(records.resolve("b").records[0]?.id, "r2");
    assert.throws(() => records.resolve("r1"), refusal("CORRUPT"));
    assert.equal(records.resolve("r").records[0]?.id, "r2");
  });
});
