// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { inspect } from "node:util";
import { gzipSync } from "node:zlib";
import { hasCode, isStrataError } from "../../../mod.ts";
import { digestOf } from "../../../src/core/digest.ts";
import { parseOutsideId, parseRecordId } from "../../../src/core/ids.ts";
import { changes } from "../../../src/store/changes.ts";
import { exportLayer } from "../../../src/store/export.ts";
import { openContainersRoot } from "../../../src/store/roots/containers_root.ts";
import type { ReadOnlyRoot } from "../../../src/store/roots/read_only_root.ts";
import { resolveTarget } from "../../../src/store/target.ts";
import { verify } from "../../../src/store/verify.ts";
import { WorkerPool } from "../../../src/worker/pool.ts";
import { bytesOf } from "../../support/containers_layers.ts";
import { changedPaths, changeListing } from "../../support/change_listing.ts";
import { MadeRoot, makeFifo, SECRET, SOUND } from "../../support/made_root.ts";
import { DRIVERS, ScratchRoot } from "../../support/scratch_store.ts";

const pool = new WorkerPool();
after(() => pool[Symbol.asyncDispose]());

for (const driver of ["overlay", "vfs"] as const) {
  describe(`a hostile root of containers/storage with ${driver}`, () => {
    it("has no layers by odd ids, and hides no sound one", async () => {
      using made = await MadeRoot.make(driver);
      const odd = [
        "../../outside",
        "a/b",
        "",
        ".",
        "..",
        "l",
        "x".repeat(10_000),
        "__proto__",
        "\ud800",
        "tmp",
        7,
        null,
        {},
      ];
      const more = odd.map((id) => ({ id, "diff-digest": `sha256:${"0".repeat(64)}` }));
      made.write([...more, null, 1, "text", [], { names: ["sound"] }, { id: "huge", "diff-size": 1e300 }]);
      const root = open(made);
      const { records, findings } = root.reading.catalog.list();
      assert.deepEqual(records.map(({ id }) => String(id)), ["sound"]);
      assert.equal(findings.length, odd.length + 6);
      for (const { error } of findings) {
        assert(isStrataError(error) && error.code === "CORRUPT" && error.message.length < 600, error.message);
      }
      assert.deepEqual(await exported(root, "sound"), SOUND);
    });

    it("names its layers after parts of objects", async () => {
      using made = await MadeRoot.make(driver);
      for (const id of ["constructor", "toString", "hasOwnProperty"]) {
        made.add(id, { flags: { constructor: 1, ["__proto__"]: { a: 1 } } });
        made.copyTree(id);
      }
      const root = open(made);
      assert.deepEqual(await exported(root, "toString"), SOUND);
      const { driver: reader, catalog } = root.reading;
      assert.equal((await reader.changes(parseOutsideId("constructor").cacheId, undefined)).length, 2);
      assert.deepEqual(Object.keys(catalog.get(parseRecordId("constructor")).flags), ["constructor", "__proto__"]);
    });

    it("has stacks that return to themselves, and very deep ones", async () => {
      using made = await MadeRoot.make(driver);
      const digest = `sha256:${"1".repeat(64)}`;
      const deep = Array.from({ length: 100_000 }, (_, i) => ({
        id: `deep${i}`,
        ...(i === 0 ? {} : { parent: `deep${i - 1}` }),
        "diff-digest": digest,
      }));
      const cycles = [["a", "b"], ["b", "a"], ["self", "self"], ["up", "../../x"], ["proto", "__proto__"]];
      made.write([...deep.reverse(), ...cycles.map(([id, parent]) => ({ id, parent, "diff-digest": digest }))]);
      const root = open(made);
      const { records, findings } = root.reading.catalog.list();
      assert.equal(records.length, 100_001);
      assert.deepEqual(findings.map(({ subject }) => subject).sort(), ["a", "b", "proto", "self", "up"]);
      assert.deepEqual(await exported(root, "sound"), SOUND);
    });

    it("has a list of layers that is no file, too large, torn, or somebody else's", async () => {
      using made = await MadeRoot.make(driver);
      const whole = join(made.dir, "layers.json");
      cpSync(made.layersFile, whole);
      const root = open(made);
      const spoilt: Record<string, () => void> = {
        fifo: () => makeFifo(made.layersFile),
        directory: () => mkdirSync(made.layersFile),
        "a secret": () => symlinkSync(join(made.outside, "secret"), made.layersFile),
        "another list": () => symlinkSync(whole, made.layersFile),
        device: () => symlinkSync("/dev/zero", made.layersFile),
        sparse: () => {
          writeFileSync(made.layersFile, "");
          truncateSync(made.layersFile, 2 ** 30);
        },
        torn: () => writeFileSync(made.layersFile, '[{"id":"sound","na'),
      };
      for (const [what, spoil] of Object.entries(spoilt)) {
        rmSync(made.layersFile, { recursive: true, force: true });
        spoil();
        assert.throws(() => root.reading.catalog.list(), (error) => isTelling(error, made.layersFile), what);
      }
      rmSync(made.layersFile, { recursive: true });
      renameSync(whole, made.layersFile);
      assert.deepEqual(await exported(root, "sound"), SOUND, "it is read again");
    });

    it("has layers that lead out of it", async () => {
      using made = await MadeRoot.make(driver);
      using scratch = new ScratchRoot();
      for (
        const [id, target] of [["absolute", made.outside], ["relative", "../".repeat(3) + "outside"], ["slash", "/"]]
      ) {
        made.add(id!, { "diff-digest": digestOf(id!) });
        mkdirSync(join(made.treeOf(id!), ".."), { recursive: true });
        symlinkSync(target!, made.treeOf(id!));
      }
      if (driver === "overlay") {
        made.add("whole");
        rmSync(join(made.root, "overlay/whole"), { recursive: true });
        symlinkSync(made.outside, join(made.root, "overlay/whole"));
        mkdirSync(join(made.outside, "diff"));
        writeFileSync(join(made.outside, "diff/sound"), SECRET);
      }
      const root = open(made);
      for (const { id } of root.reading.catalog.list().records.filter(({ id }) => id !== "sound")) {
        const { cacheId } = parseOutsideId(id);
        const reader = root.reading.driver;
        await assert.rejects(async () => await reader.changes(cacheId, undefined), { code: "CORRUPT" }, id);
        assert.throws(() => reader.outsideLayers?.asOutside(cacheId), { code: "CORRUPT" }, id);
        await assert.rejects(bytesOf(reader.diff(cacheId, undefined)), { code: "CORRUPT" }, id);
      }
      const own = driver === "overlay" ? "overlay2" : "vfs";
      if (!DRIVERS.includes(own)) return;
      await using store = await scratch.open({ driver: own, readOnlyRoots: [made.root] });
      await assert.rejects(store.catalog.create({ parent: "slash", access: "writable" }), /leads out of the store/);
      assert.deepEqual([store.layers().layers.size, scratch.layerDirs(own), scratch.leftovers()], [0, [], []]);
    });

    it("has tar-splits that are none", async () => {
      using made = await MadeRoot.make(driver);
      const before = ["fifo", "link", "bomb", "names"];
      for (const id of before) {
        made.add(id);
        made.copyTree(id);
      }
      makeFifo(made.tarSplitOf("fifo"));
      rmSync(made.tarSplitOf("link"));
      symlinkSync(join(made.outside, "secret"), made.tarSplitOf("link"));
      writeFileSync(made.tarSplitOf("bomb"), gzipSync(new Uint8Array(256 * 1024 * 1024)));
      const names = ["../../outside/secret", "/etc/shadow", "etc/../../../outside/secret"];
      const lines = names.map((name, position) =>
        JSON.stringify({ type: 1, name, size: SECRET.length, payload: "AAAAAAAAAAA=", position })
      );
      writeFileSync(made.tarSplitOf("names"), gzipSync(lines.join("\n")));
      const root = open(made);
      for (const id of before) {
        const { chainId } = recordOf(root, id);
        const layerDb = { ...lookups(root), tarSplitPath: () => made.tarSplitOf(id), read: () => recordOf(root, id) };
        const reading = { ...root.reading, layerDb };
        const { state, ...rest } = await verify(reading, chainId);
        assert.equal(state, "bad", id);
        assert(!JSON.stringify(rest).includes(SECRET));
        await assert.rejects(async () => await bytesOf(exportLayer(reading, chainId)), isStrataError, id);
      }
    });

    it("has data items that are none", async () => {
      using made = await MadeRoot.make(driver);
      const keys = ["fifo", "secret", "dir", "../../outside/secret", "x".repeat(100_000), "sound", ""];
      made.add("data", { "big-data-names": keys });
      const dir = join(made.layersDir, "data");
      mkdirSync(join(dir, "dir"), { recursive: true });
      makeFifo(join(dir, "fifo"));
      symlinkSync(join(made.outside, "secret"), join(dir, "secret"));
      writeFileSync(join(dir, "sound"), "kept");
      made.add("elsewhere", { "big-data-names": ["secret"] });
      symlinkSync(made.outside, join(made.layersDir, "elsewhere"));
      const root = open(made);
      const record = root.reading.catalog.get(parseRecordId("data"));
      assert.deepEqual(record.bigData?.map(({ key }) => key), ["sound"]);
      for (const key of keys.filter((key) => key !== "sound")) {
        assert.throws(() => root.bigData(record.id, key), { code: "CORRUPT" }, key.slice(0, 40));
      }
      assert.throws(() => root.bigData(parseRecordId("elsewhere"), "secret"), { code: "CORRUPT" });
      assert.equal(new TextDecoder().decode(await bytesOf(root.bigData(record.id, "sound"))), "kept");
    });

    it("loses layers while it is read", async () => {
      using made = await MadeRoot.make(driver);
      made.add("comes");
      made.copyTree("comes");
      const mover = join(made.dir, "mover.sh");
      const [tree, tarSplit] = [made.treeOf("comes"), made.tarSplitOf("comes")];
      writeFileSync(
        mover,
        `while [ -e "${mover}" ]; do mv "${tree}" "${tree}-away"; mv "${tarSplit}" "${tarSplit}-away"
        mv "${tree}-away" "${tree}"; mv "${tarSplit}-away" "${tarSplit}"; done`,
      );
      const { spawn } = await import("node:child_process");
      const moving = spawn("sh", [mover], { stdio: "ignore" });
      const ended = new Promise((resolve) => moving.on("close", resolve));
      try {
        const root = open(made);
        const { cacheId } = parseOutsideId("comes");
        for (let i = 0; i < 40; i++) {
          await quiet(async () => await root.reading.driver.changes(cacheId, undefined));
          await quiet(async () => await changes(root.reading, resolveTarget(root.reading, "comes")));
          assert.equal(recordOf(root, "sound").cacheId === undefined, false);
          assert.equal((await verify(root.reading, recordOf(root, "sound").chainId)).state, "ok");
        }
      } finally {
        rmSync(mover);
        await ended;
      }
    });
  });
}

describe("a hostile home of overlay", () => {
  it("names layers below by names that lead elsewhere", async () => {
    using made = await MadeRoot.make("overlay");
    const long = Array.from({ length: 10_000 }, () => `l/${"A".repeat(26)}`).join(":");
    const lowers: Record<string, string> = {
      up: "l/../../outside",
      absolute: "/etc",
      unknown: `l/${"Z".repeat(26)}`,
      away: `l/${"Y".repeat(26)}`,
      empty: "::",
    };
    symlinkSync(made.outside, join(made.root, "overlay/l", "Y".repeat(26)));
    for (const [id, lower] of Object.entries({ ...lowers, long })) {
      made.add(id, { parent: "sound" });
      made.copyTree(id);
      writeFileSync(join(made.root, "overlay", id, "lower"), lower);
    }
    for (const id of ["fifo", "secret", "links"]) {
      made.add(id, { parent: "sound" });
      made.copyTree(id);
    }
    makeFifo(join(made.root, "overlay/fifo/lower"));
    symlinkSync(join(made.outside, "secret"), join(made.root, "overlay/secret/lower"));
    makeFifo(join(made.root, "overlay/links/link"));
    const { driver } = open(made).reading;
    const failures: string[] = [];
    for (const id of [...Object.keys(lowers), "long", "fifo", "secret", "links"]) {
      const error = await quiet(async () =>
        await driver.changes(parseOutsideId(id).cacheId, parseOutsideId("sound").cacheId)
      );
      if (error !== undefined) failures.push(id);
      assert(!String(error?.message).includes(SECRET), "a message shows what a symlink leads to");
    }
    assert.deepEqual(failures.filter((id) => id !== "long"), [...Object.keys(lowers), "fifo", "secret"]);
    assert.equal((await driver.changes(parseOutsideId("sound").cacheId, undefined)).length, 2);
  });
});

describe("roots in odd places", () => {
  it("may be given twice, by symlinks and relative paths, lie in each other, and are never written", async () => {
    using made = await MadeRoot.make("vfs");
    using scratch = new ScratchRoot();
    const before = changeListing(made.root);
    const alias = join(made.dir, "alias");
    symlinkSync(made.root, alias);
    const relative = join("..".concat("/..".repeat(20)), made.root);
    const readOnlyRoots = [made.root, `${made.root}/`, alias, `${made.root}/../graph`, relative];
    await using store = await scratch.open({ driver: "vfs", readOnlyRoots });
    assert.deepEqual(store.catalog.layers().map(({ id }) => String(id)), ["sound"]);
    await assert.rejects(scratch.open({ driver: "vfs", readOnlyRoots: [scratch.root] }), { code: "INVALID_ARGUMENT" });
    const inside = join(scratch.root, "vfs/dir/inside");
    cpSync(made.root, inside, { recursive: true });
    {
      await using second = await scratch.open({ driver: "vfs", readOnlyRoots: [inside] });
      await assert.rejects(second.catalog.create({ parent: "sound", access: "writable" }), {
        code: "INVALID_ARGUMENT",
      });
    }
    assert.deepEqual(changedPaths(before, changeListing(made.root)), []);
  });

  it("tell an ordinary user what cannot be read", {
    skip: process.getuid?.() === 0 ? false : "changing users needs root",
  }, async () => {
    using made = await MadeRoot.make("vfs");
    made.add("locked");
    made.copyTree("locked");
    execFileSync("chmod", ["000", made.treeOf("locked"), made.tarSplitOf("locked")]);
    execFileSync("chmod", ["755", made.dir, made.root]);
    const root = open(made);
    const { cacheId } = parseOutsideId("locked");
    process.seteuid?.(65534);
    try {
      const error = await quiet(async () => await root.reading.driver.changes(cacheId, undefined));
      assert(hasCode(error, "NOT_PERMITTED"), String(error));
      assert.equal((await root.reading.driver.changes(parseOutsideId("sound").cacheId, undefined)).length, 2);
    } finally {
      process.seteuid?.(0);
    }
  });
});

function open(made: MadeRoot): ReadOnlyRoot {
  return openContainersRoot(made.root, { pool });
}

function recordOf({ reading }: ReadOnlyRoot, ref: string) {
  const target = resolveTarget(reading, ref);
  assert(target.kind === "layer");
  const record = reading.catalog.get(parseRecordId(ref));
  return { ...target.record, cacheId: parseOutsideId(record.id).cacheId };
}

function lookups({ reading: { layerDb } }: ReadOnlyRoot) {
  return {
    list: () => layerDb.list(),
    chainIds: () => layerDb.chainIds(),
    findSound: (chainId: Parameters<typeof layerDb.findSound>[0]) => layerDb.findSound(chainId),
    has: (chainId: Parameters<typeof layerDb.has>[0]) => layerDb.has(chainId),
  };
}

async function exported({ reading }: ReadOnlyRoot, ref: string): Promise<Uint8Array> {
  const target = resolveTarget(reading, ref);
  assert(target.kind === "layer");
  return await bytesOf(exportLayer(reading, target.record.chainId));
}

/** The failure, which must be one of the package's. */
async function quiet(act: () => Promise<unknown>): Promise<Error | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    assert(isStrataError(error), inspect(error));
    return error;
  }
}

function isTelling(error: unknown, path: string): boolean {
  assert(isStrataError(error), inspect(error));
  assert(error.message.includes(path), error.message);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    assert(!cause.message.includes("nobody is"));
  }
  return true;
}
