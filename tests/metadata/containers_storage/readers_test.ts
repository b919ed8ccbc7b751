// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, it } from "node:test";
import { chainOn } from "../../../src/core/chain_id.ts";
import { digestHex, parseDiffId } from "../../../src/core/digest.ts";
import { parseRecordId } from "../../../src/core/ids.ts";
import { ContainersLayers } from "../../../src/metadata/containers_storage/containers_layers.ts";
import { ContainersLayout } from "../../../src/metadata/containers_storage/layout.ts";
import {
  ContainersCatalog,
  ContainersLayerDb,
  ContainersMounts,
} from "../../../src/metadata/containers_storage/readers.ts";
import { parseMountName } from "../../../src/metadata/mounts.ts";

const DIFF = [..."0123456789"].map((digit) => parseDiffId(`sha256:${digit.repeat(64)}`));
const CHAIN_1 = chainOn(undefined, DIFF[1]!);
const CHAIN_12 = chainOn(CHAIN_1, DIFF[2]!);

describe("the records of containers/storage", () => {
  let scratch = "";
  beforeEach(() => {
    scratch = mkdtempSync(`${tmpdir()}/strata-readers-`);
  });
  afterEach(() => rmSync(scratch, { recursive: true }));

  function store(name: string, records: readonly object[], siblings: readonly ContainersLayers[] = []) {
    const layout = new ContainersLayout(`${scratch}/${name}`, "overlay");
    mkdirSync(layout.layersDir, { recursive: true });
    writeFileSync(layout.recordFiles[0]!, JSON.stringify(records));
    const layers = new ContainersLayers(layout, siblings);
    return {
      layout,
      layers,
      layerDb: new ContainersLayerDb(layers),
      mounts: new ContainersMounts(layers),
      catalog: new ContainersCatalog(layers),
    };
  }

  function layer(id: string, diff: number, parent?: string): object {
    return { id, "diff-digest": DIFF[diff], "diff-size": 10, parent, created: "2026-01-01T00:00:00Z" };
  }

  it("computes ChainIDs from parents and digests, in whatever order they stand", () => {
    const { layerDb, catalog } = store("a", [layer("top", 2, "base"), layer("base", 1)]);
    assert.deepEqual(layerDb.chainIds().sort(), [CHAIN_1, CHAIN_12].sort());
    assert.equal(layerDb.read(CHAIN_12).parent, CHAIN_1);
    assert.equal(layerDb.read(CHAIN_12).cacheId, "top");
    assert.deepEqual(catalog.get(parseRecordId("top")).content, {
      diffId: DIFF[2],
      parent: CHAIN_1,
      sizeBytes: 10,
      archiveBytes: 10,
    });
    assert.throws(() => layerDb.read(chainOn(CHAIN_12, DIFF[3]!)), { code: "NOT_FOUND" });
  });

  it("takes layers without a digest, and all upon them, for writable ones", () => {
    const { mounts, layerDb, catalog } = store("a", [
      layer("base", 1),
      { id: "container", parent: "base", mountlabel: "label" },
      layer("upon", 2, "container"),
    ]);
    assert.deepEqual([...mounts.list().mounts.keys()].map(String), ["container", "upon"]);
    assert.equal(mounts.read(parseMountName("container")).parent, CHAIN_1);
    assert.equal(mounts.read(parseMountName("container")).initId, undefined);
    assert.equal(mounts.read(parseMountName("upon")).initId, "container");
    assert.throws(() => mounts.read(parseMountName("base")), { code: "NOT_FOUND" });
    assert.deepEqual(layerDb.chainIds(), [CHAIN_1]);
    assert.deepEqual(catalog.get(parseRecordId("upon")).target, { kind: "writable", mountName: "upon" });
  });

  it("finds stacks broken that miss a layer, return to one, or lie on an unfinished one", () => {
    const { catalog, layerDb } = store("a", [
      layer("orphan", 1, "gone"),
      layer("upon-orphan", 2, "orphan"),
      layer("circle-1", 1, "circle-2"),
      layer("circle-2", 2, "circle-1"),
      { ...layer("half", 1), flags: { incomplete: true } },
      layer("upon-half", 2, "half"),
      layer("sound", 1),
    ]);
    const { records, findings } = catalog.list();
    assert.deepEqual(records.map(({ id }) => String(id)), ["sound"]);
    assert.deepEqual(
      findings.map(({ subject }) => subject).sort(),
      ["circle-1", "circle-2", "half", "orphan", "upon-half", "upon-orphan"],
    );
    assert.deepEqual(layerDb.chainIds(), [CHAIN_1]);
    assert.throws(() => catalog.resolve("upon-orphan"), { code: "CORRUPT" });
    assert.throws(() => catalog.resolve("half"), { code: "NOT_FOUND" });
  });

  it("keeps the first record of an id, and gives a name to the last layer that has it", () => {
    const { catalog } = store("a", [
      { ...layer("one", 1), names: ["name", "mine"] },
      { ...layer("one", 2) },
      { ...layer("two", 2), names: ["name"] },
    ]);
    assert.deepEqual(catalog.list().findings.map(({ kind, subject }) => `${kind} ${subject}`), [
      "record one",
      "name name",
    ]);
    assert.deepEqual(catalog.get(parseRecordId("one")).names, ["mine"]);
    assert.equal(catalog.getByName("name").id, "two");
    assert.equal(catalog.findByName("none"), undefined);
  });

  it("gives all records of a stack, and of its layers one that is whole", () => {
    const { catalog, layerDb, layout } = store("a", [layer("damaged", 1), layer("whole", 1), layer("mapped", 1)]);
    for (const id of ["whole", "mapped"]) {
      mkdirSync(`${layout.home}/${id}`, { recursive: true });
      writeFileSync(`${layout.layersDir}/${id}.tar-split.gz`, "");
    }
    assert.equal(layerDb.read(CHAIN_1).cacheId, "whole");
    assert.equal(layerDb.findSound(CHAIN_1)?.cacheId, "whole");
    assert.equal(layerDb.tarSplitPath(CHAIN_1), `${layout.layersDir}/whole.tar-split.gz`);
    assert.deepEqual(catalog.referencesTo(CHAIN_1).map(({ id }) => String(id)), ["damaged", "whole", "mapped"]);
    rmSync(`${layout.home}/whole`, { recursive: true });
    assert.equal(layerDb.read(CHAIN_1).cacheId, "mapped");
    assert.equal(store("b", [layer("damaged", 1)]).layerDb.findSound(CHAIN_1), undefined);
  });

  it("goes on in further roots, whose layers it does not list", () => {
    const below = store("below", [layer("base", 1)]);
    const { layerDb, catalog } = store("a", [layer("top", 2, "base")], [below.layers]);
    assert.deepEqual(layerDb.chainIds(), [CHAIN_12]);
    assert.equal(layerDb.read(CHAIN_1).cacheId, "base");
    assert.equal(layerDb.tarSplitPath(CHAIN_1), `${below.layout.layersDir}/base.tar-split.gz`);
    assert.deepEqual(catalog.list().records.map(({ id }) => String(id)), ["top"]);
    assert.throws(() => catalog.resolve("base"), { code: "NOT_FOUND" });
    writeFileSync(below.layout.recordFiles[0]!, "[]");
    assert.throws(() => catalog.resolve("top"), { code: "CORRUPT" });
  });

  it("resolves ids, names, ChainIDs and prefixes", () => {
    const { catalog } = store("a", [
      { ...layer("abc1", 1), names: ["abc"] },
      layer("abd2", 2, "abc1"),
      { id: "chosen" },
      { id: "c0".repeat(32) },
    ]);
    const hex = digestHex(CHAIN_12);
    assert.equal(catalog.resolve("abc").records[0]?.id, "abc1");
    assert.equal(catalog.resolve("abc1").chainId, CHAIN_1);
    assert.equal(catalog.resolve("abd").chainId, CHAIN_12);
    assert.equal(catalog.resolve("c0c0").records[0]?.id, "c0".repeat(32));
    assert.equal(catalog.resolve("chosen").records[0]?.id, "chosen");
    assert.throws(() => catalog.resolve("chos"), { code: "NOT_FOUND" }, "a writable layer by its chosen id is a name");
    assert.equal(catalog.resolve(CHAIN_12).records[0]?.id, "abd2");
    assert.equal(catalog.resolve(hex.slice(0, 20)).chainId, CHAIN_12);
    assert.throws(() => catalog.resolve("ab"), { code: "AMBIGUOUS" });
    assert.throws(() => catalog.resolve("zzz"), { code: "NOT_FOUND" });
    assert.throws(() => catalog.resolve(""), { code: "NOT_FOUND" });
  });

  it("reads volatile layers, too, and finds a layer gone once it is", () => {
    const { catalog, layout, layerDb } = store("a", [layer("base", 1)]);
    writeFileSync(layout.recordFiles[1]!, JSON.stringify([layer("volatile", 2, "base")]));
    assert.equal(catalog.resolve("volatile").chainId, CHAIN_12);
    writeFileSync(layout.recordFiles[1]!, "");
    assert.throws(() => layerDb.read(CHAIN_12), { code: "NOT_FOUND" });
  });

  it("answers thousands of questions about thousands of layers", () => {
    const ids = Array.from({ length: 20_000 }, (_, i) => `layer-${i}-`);
    const { catalog } = store("a", ids.map((id, i) => layer(id, i % 10, i % 100 === 0 ? undefined : ids[i - 1])));
    for (const id of ids) assert.equal(catalog.resolve(id).records[0]?.id, id);
    assert.equal(catalog.list().records.length, ids.length);
    assert.equal(catalog.resolve("layer-12345").records[0]?.id, "layer-12345-");
  });
});
