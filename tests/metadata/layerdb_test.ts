// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type ChainId, digestHex, parseDigest } from "../../src/core/digest.ts";
import { parseCacheId } from "../../src/core/ids.ts";
import { LayerDb } from "../../src/metadata/layerdb.ts";
import type { LayerRecord } from "../../src/metadata/layer_record.ts";
import type { StoreLayout } from "../../src/metadata/layout.ts";
import { withWriteLock } from "../../src/metadata/write_lock.ts";
import { chainIdOf, EMPTY_GZIP, recordOf, refusal, scratchStore, writeDockerLayer } from "./store_dir.ts";

function staged(layout: StoreLayout, db: LayerDb, record: LayerRecord): string {
  const dir = join(layout.root, "strata", "tmp", `stage-${digestHex(record.chainId).slice(0, 8)}`);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "tar-split.json.gz"), EMPTY_GZIP);
  db.stageRecord(dir, record);
  return dir;
}

function publish(layout: StoreLayout, db: LayerDb, record: LayerRecord): Promise<"published" | "exists"> {
  return withWriteLock(
    layout,
    {},
    (lock) => db.publish(lock, { chainId: record.chainId, stagedDir: staged(layout, db, record) }),
  );
}

describe("LayerDb writes what Docker writes", () => {
  for (const durability of ["full", "none"] as const) {
    it(`publish() puts Docker's files in place, byte for byte (${durability})`, async () => {
      using store = scratchStore();
      const db = new LayerDb(store.layout, { durability });
      const base = recordOf("base");
      const child = recordOf("child", base.chainId);
      assert.equal(await publish(store.layout, db, base), "published");
      assert.equal(await publish(store.layout, db, child), "published");

      const dir = join(store.root, "image/overlay2/layerdb/sha256", digestHex(child.chainId));
      const text = (name: string) => readFileSync(join(dir, name), "latin1");
      assert.equal(text("diff"), child.diffId);
      assert.equal(text("size"), "3");
      assert.equal(text("cache-id"), child.cacheId);
      assert.equal(text("parent"), base.chainId);
      assert.deepEqual(readdirSync(dir).sort(), [
        "cache-id",
        "diff",
        "parent",
        "size",
        "strata.json",
        "tar-split.json.gz",
      ]);
      assert.equal(statSync(join(dir, "diff")).mode & 0o777, 0o644 & ~currentUmask());
      assert.equal(statSync(dir).mode & 0o777, 0o700);
      assert.equal(existsSync(join(store.layout.layerDir(base.chainId), "parent")), false);
      assert.equal(db.tarSplitPath(child.chainId), join(dir, "tar-split.json.gz"));
    });
  }

  it("read() gives back what was recorded, strata.json included", async () => {
    using store = scratchStore();
    const db = new LayerDb(store.layout, { durability: "none" });
    const record: LayerRecord = {
      ...recordOf("a"),
      sizeBytes: 0,
      created: "2026-11-21T10:00:00.000Z",
      blob: {
        digest: parseDigest(chainIdOf("blob")),
        size: 12,
        compression: "gzip",
        tocDigest: parseDigest(chainIdOf("toc")),
      },
      archiveBytes: 10_240,
      entryCount: 7,
      uids: [0, 1000],
      gids: [],
      droppedAttributes: 2,
      dropped: [{ entry: "etc/\u00e9", attribute: "owner 1:2", reason: "it is so" }],
    };
    await publish(store.layout, db, record);
    assert.deepEqual(db.read(record.chainId), record);
    assert.deepEqual(db.findSound(record.chainId), record);
    assert.equal(db.has(record.chainId), true);
  });

  it("stageRecord() refuses a ChainID that is not the chain of parent and DiffID", () => {
    using store = scratchStore();
    const record = { ...recordOf("a"), chainId: chainIdOf("other") };
    assert.throws(() => new LayerDb(store.layout).stageRecord(store.root, record), refusal("INVALID_ARGUMENT"));
  });
});

describe("LayerDb reads what Docker writes", () => {
  it("list() and read() take a store made by hand, without strata.json", () => {
    using store = scratchStore();
    const base = recordOf("base");
    const child = { ...recordOf("child", base.chainId), cacheId: parseCacheId("7ykxyzl7wd4wm3aijs6tmgv0y") };
    writeDockerLayer(store.layout, base);
    writeDockerLayer(store.layout, child, { diff: `${child.diffId}\n`, parent: ` ${base.chainId}\n` });
    const db = new LayerDb(store.layout);
    assert.deepEqual(db.list(), {
      layers: new Map([base, child].sort(byChain).map((r) => [r.chainId, r])),
      broken: [],
      findings: [],
    });
    assert.deepEqual(db.read(child.chainId), child);
  });

  it("an absent store lists nothing and is not made", () => {
    using store = scratchStore();
    assert.equal(new LayerDb(store.layout).list().layers.size, 0);
    assert.deepEqual(new LayerDb(store.layout).orphans(), []);
    assert.deepEqual(readdirSync(store.root), []);
  });

  const record = recordOf("x");
  const damages: readonly (readonly [what: string, files: Record<string, string | undefined>, at: string])[] = [
    ["no diff", { diff: undefined }, "/diff"],
    ["an empty diff", { diff: "" }, "/diff"],
    ["a diff that is no digest", { diff: "sha256:abc" }, "/diff"],
    ["another layer's diff", { diff: recordOf("y").diffId }, digestHex(record.chainId)],
    ["no size", { size: undefined }, "/size"],
    ["an empty size", { size: "" }, "/size"],
    ["a size with a newline", { size: "3\n" }, "/size"],
    ["a size with a blank", { size: " 3" }, "/size"],
    ["a fraction as size", { size: "3.0" }, "/size"],
    ["a hex size", { size: "0x3" }, "/size"],
    ["a size that is no exact number here", { size: "9223372036854775807" }, "/size"],
    ["no cache-id", { "cache-id": undefined }, "/cache-id"],
    ["an empty cache-id", { "cache-id": "\n" }, "/cache-id"],
    ["a cache-id that climbs", { "cache-id": "../../../etc" }, "/cache-id"],
    ["an unexpected parent", { parent: recordOf("p").chainId }, digestHex(record.chainId)],
    ["an empty parent", { parent: "" }, "/parent"],
    ["a torn parent", { parent: "sha256:12" }, "/parent"],
    ["a torn descriptor", { "descriptor.json": "{" }, "/descriptor.json"],
  ];
  for (const [what, files, at] of damages) {
    it(`a layer with ${what} is a finding, read() names the file, and other layers stay`, () => {
      using store = scratchStore();
      const sound = recordOf("sound");
      writeDockerLayer(store.layout, sound);
      const dir = writeDockerLayer(store.layout, record, files);
      const db = new LayerDb(store.layout);
      const listing = db.list();
      assert.deepEqual([...listing.layers.keys()], [sound.chainId]);
      assert.equal(listing.broken.length, 1);
      assert.equal(listing.broken[0]?.chainId, record.chainId);
      assert.equal(listing.broken[0]?.severity, "broken");
      assert.ok(listing.broken[0]?.path.endsWith(at), listing.broken[0]?.path);
      assert.throws(() => db.read(record.chainId), refusal("CORRUPT", dir, "register the layer again"));
      assert.equal(db.findSound(record.chainId), undefined);
    });
  }

  it("a broken layer still tells its cache id and parent, so that neither is taken for garbage", () => {
    using store = scratchStore();
    const base = recordOf("base");
    const child = recordOf("child", base.chainId);
    writeDockerLayer(store.layout, base);
    writeDockerLayer(store.layout, child, { size: "" });
    const [broken] = new LayerDb(store.layout).list().broken;
    assert.equal(broken?.cacheId, child.cacheId);
    assert.equal(broken?.parent, base.chainId);
  });

  it("a layer on a missing or broken layer is broken, too", () => {
    using store = scratchStore();
    const base = recordOf("base");
    const middle = recordOf("middle", base.chainId);
    const top = recordOf("top", middle.chainId);
    for (const record of [base, middle, top]) writeDockerLayer(store.layout, record);
    const db = new LayerDb(store.layout);
    assert.equal(db.list().layers.size, 3);
    rmSync(join(store.layout.layerDir(base.chainId), "diff"));
    assert.deepEqual(chainsOf(db), [base.chainId, middle.chainId, top.chainId].sort());
    rmSync(store.layout.layerDir(base.chainId), { recursive: true });
    assert.deepEqual(chainsOf(db), [middle.chainId, top.chainId].sort());
    assert.match(db.list().broken[0]?.error.message ?? "", new RegExp(base.chainId));
  });

  it("a lost parent file does not turn a layer into a base layer", () => {
    using store = scratchStore();
    const child = recordOf("child", recordOf("base").chainId);
    writeDockerLayer(store.layout, child, { parent: undefined });
    assert.throws(() => new LayerDb(store.layout).read(child.chainId), refusal("CORRUPT", `no "parent" file`));
  });

  it("a torn strata.json costs its own content only", () => {
    using store = scratchStore();
    for (const text of ["", "{", "[]", `{"schema":2}`, `{"schema":1,"entryCount":-1}`]) {
      const record = recordOf("a");
      writeDockerLayer(store.layout, record, { "strata.json": text });
      const { layers, broken, findings } = new LayerDb(store.layout).list();
      assert.deepEqual(layers.get(record.chainId), record);
      assert.deepEqual(broken, []);
      assert.deepEqual(findings.map(({ severity }) => severity), ["degraded"], text);
      assert.ok(findings[0]?.path.endsWith("/strata.json"));
    }
  });

  it("entries that are no layers are ignored with a finding; a layer file that is a directory or link is refused", () => {
    using store = scratchStore();
    const record = recordOf("a");
    const dir = writeDockerLayer(store.layout, record);
    mkdirSync(join(store.layout.layersDir, "lost+found"));
    writeFileSync(join(store.layout.layersDir, "0".repeat(64)), "");
    symlinkSync(dir, join(store.layout.layersDir, "1".repeat(64)));
    const db = new LayerDb(store.layout);
    assert.deepEqual(db.list().findings.map(({ subject, severity }) => [subject, severity]), [
      ["0".repeat(64), "stray"],
      ["1".repeat(64), "stray"],
      ["lost+found", "stray"],
    ]);
    rmSync(join(dir, "size"));
    mkdirSync(join(dir, "size"));
    assert.throws(() => db.read(record.chainId), refusal("CORRUPT", "not a regular file"));
    rmSync(join(dir, "size"), { recursive: true });
    symlinkSync("/etc/passwd", join(dir, "size"));
    assert.throws(() => db.read(record.chainId), refusal("CORRUPT", "not a regular file"));
  });

  it("read() of an unknown layer is NOT_FOUND", () => {
    using store = scratchStore();
    assert.throws(() => new LayerDb(store.layout).read(chainIdOf("none")), refusal("NOT_FOUND"));
  });
});

describe("LayerDb publishes and withdraws", () => {
  it("publish() of a layer that is there leaves it and the staged record alone", async () => {
    using store = scratchStore();
    const db = new LayerDb(store.layout, { durability: "none" });
    const first = recordOf("a");
    const second = recordOf("a");
    await publish(store.layout, db, first);
    assert.equal(await publish(store.layout, db, second), "exists");
    assert.deepEqual(db.read(first.chainId), first);
    assert.equal(readdirSync(join(store.root, "strata/tmp")).length, 1);
  });

  for (const [what, files] of [["damaged", { size: "" }], ["empty", undefined]] as const) {
    it(`publish() takes the place of a ${what} directory, which comes to lie where the staged one was`, async () => {
      using store = scratchStore();
      const db = new LayerDb(store.layout, { durability: "none" });
      const old = recordOf("a");
      if (files === undefined) mkdirSync(store.layout.layerDir(old.chainId), { recursive: true });
      else writeDockerLayer(store.layout, old, files);
      const fresh = recordOf("a");
      assert.equal(await publish(store.layout, db, fresh), "published");
      assert.deepEqual(db.read(fresh.chainId), fresh);
      assert.deepEqual(db.orphans(), []);
      const [left = ""] = readdirSync(join(store.root, "strata/tmp"));
      const cacheIdPath = join(store.root, "strata/tmp", left, "cache-id");
      assert.equal(existsSync(cacheIdPath) && readFileSync(cacheIdPath, "utf8"), files !== undefined && old.cacheId);
      assert.equal(db.list().layers.size, 1);
      assert.deepEqual(db.list().broken, []);
    });
  }

  it("publish() replaces a layer whose tar-split is gone, and refuses a staged record without one", async () => {
    using store = scratchStore();
    const db = new LayerDb(store.layout, { durability: "none" });
    const record = recordOf("a");
    await publish(store.layout, db, record);
    rmSync(db.tarSplitPath(record.chainId));
    assert.equal(await publish(store.layout, db, record), "published");

    const dir = staged(store.layout, db, recordOf("b"));
    rmSync(join(dir, "tar-split.json.gz"));
    const publishing = withWriteLock(
      store.layout,
      {},
      (lock) => db.publish(lock, { chainId: recordOf("b").chainId, stagedDir: dir }),
    );
    await assert.rejects(publishing, refusal("CORRUPT", "tar-split"));
    assert.equal(db.has(recordOf("b").chainId), false);
  });

  it("withdraw() renames as Docker does, and removeWithdrawn() finishes", async () => {
    using store = scratchStore();
    const db = new LayerDb(store.layout);
    const record = recordOf("a");
    await publish(store.layout, db, record);
    const withdrawn = await withWriteLock(store.layout, {}, (lock) => db.withdraw(lock, record.chainId));
    assert.match(withdrawn.path, new RegExp(`/sha256/${digestHex(record.chainId)}-[0-9a-f]{64}-removing$`));
    assert.equal(withdrawn.cacheId, record.cacheId);
    assert.throws(() => db.read(record.chainId), refusal("NOT_FOUND"));
    assert.deepEqual(db.list(), { layers: new Map(), broken: [], findings: [] });
    assert.deepEqual(db.orphans(), [withdrawn]);
    for (let times = 0; times < 2; times++) {
      await withWriteLock(store.layout, {}, (lock) => db.removeWithdrawn(lock, withdrawn));
    }
    assert.deepEqual(db.orphans(), []);
    assert.deepEqual(readdirSync(store.layout.layersDir), []);
  });

  it("withdraw() of what is not there is NOT_FOUND; of a damaged layer it works", async () => {
    using store = scratchStore();
    const db = new LayerDb(store.layout, { durability: "none" });
    const record = recordOf("a");
    const withdraw = (chainId: ChainId) => withWriteLock(store.layout, {}, (lock) => db.withdraw(lock, chainId));
    await assert.rejects(withdraw(record.chainId), refusal("NOT_FOUND"));
    writeDockerLayer(store.layout, record, { "cache-id": undefined });
    assert.equal("cacheId" in await withdraw(record.chainId), false);
  });

  it("orphans() finds what Docker left, and nothing else", () => {
    using store = scratchStore();
    const record = recordOf("a");
    const dir = writeDockerLayer(store.layout, record);
    const left = `${dir}-${"a".repeat(64)}-removing`;
    mkdirSync(left);
    writeFileSync(join(left, "cache-id"), record.cacheId);
    mkdirSync(join(store.layout.layersDir, "nonsense-removing"));
    const db = new LayerDb(store.layout);
    assert.deepEqual(db.orphans(), [{ chainId: record.chainId, path: left, cacheId: record.cacheId }]);
    assert.equal(db.list().layers.size, 1);
  });

  it("a lock that was given back, or is another store's, is refused", async () => {
    using store = scratchStore();
    using other = scratchStore();
    const db = new LayerDb(store.layout, { durability: "none" });
    const record = recordOf("a");
    await publish(store.layout, db, record);
    const kept = await withWriteLock(store.layout, {}, (lock) => lock);
    assert.throws(() => db.withdraw(kept, record.chainId), /was released before/);
    await withWriteLock(other.layout, {}, (lock) => {
      assert.throws(() => db.withdraw(lock, record.chainId), /another store's/);
    });
    assert.equal(db.has(record.chainId), true);
  });
});

function byChain(a: LayerRecord, b: LayerRecord): number {
  return a.chainId < b.chainId ? -1 : 1;
}

function chainsOf(db: LayerDb): ChainId[] {
  return db.list().broken.map(({ chainId }) => chainId).sort();
}

function currentUmask(): number {
  using store = scratchStore();
  const path = join(store.root, "probe");
  writeFileSync(path, "", { mode: 0o666 });
  return 0o666 & ~statSync(path).mode;
}
