// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import process from "node:process";
import { describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { CliStore } from "../support/run_cli.ts";

const BASE = layerTar([file("a", "alpha")]);
const TOP = layerTar([file("b", "beta!")]);
const CHAIN_BASE = digestOf(BASE);
const CHAIN_TOP = digestOf(`${CHAIN_BASE} ${digestOf(TOP)}`);

describe("strata register", () => {
  it("prints the ChainID of a layer from standard input or a file", async () => {
    using store = new CliStore();
    assert.equal(await store.ok(["register"], { stdin: BASE }), CHAIN_BASE);
    assert.equal(await store.ok(["register", "-"], { stdin: BASE }), CHAIN_BASE);
    const path = store.file("top.tar", TOP);
    assert.equal(await store.ok(["register", path, "--parent", CHAIN_BASE]), CHAIN_TOP);
  });

  it("prints what is known of the layer as JSON", async () => {
    using store = new CliStore();
    await store.ok(["register", "--name", "base"], { stdin: BASE });
    const blob = gzipSync(TOP);
    const args = ["register", "--parent", "base", "--id", "2-top", "--name", "top", "--name", "latest", "--json"];
    const { created, droppedAttributes, ...document } = JSON.parse(await store.ok(args, { stdin: blob }));
    assert.match(created, /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.equal(typeof droppedAttributes, "number");
    assert.deepEqual(document, {
      schema: 1,
      id: "2-top",
      chainId: CHAIN_TOP,
      diffId: digestOf(TOP),
      parent: CHAIN_BASE,
      names: ["top", "latest"],
      size: 10,
      diffSize: 5,
      blob: { digest: digestOf(blob), size: blob.length, compression: "gzip" },
      archiveSize: TOP.length,
      uids: [0],
      gids: [0],
      metadata: "",
      flags: {},
      bigData: [],
    });
  });

  it("refuses a layer that is not the expected one, and keeps nothing of it", async () => {
    using store = new CliStore();
    for (const option of ["--expect-diff-id", "--expect-digest"]) {
      const { code, stderr } = await store.run(["register", option, digestOf("x"), "--json"], { stdin: BASE });
      assert.equal(code, 5);
      assert.equal(JSON.parse(stderr).error.code, "DIGEST_MISMATCH");
      assert.equal((await store.run(["register", option, "sha256:zz"], { stdin: BASE })).code, 2);
    }
    assert.equal(await store.ok(["layers", "-q"]), "");
    await store.ok(["register", "--expect-diff-id", digestOf(BASE), "--expect-digest", digestOf(BASE)], {
      stdin: BASE,
    });
  });

  it("refuses a name or id that is taken before it reads anything", async () => {
    using store = new CliStore();
    await store.ok(["register", "--name", "base", "--id", "one"], { stdin: BASE });
    for (const options of [["--name", "base"], ["--id", "one"]]) {
      const { code, stderr } = await store.run(["register", ...options, "/no/such/file"]);
      assert.equal(code, 4);
      assert.match(stderr, /^error: .*(base|one)/);
    }
  });

  it("tells a missing file, a missing parent, a directory, a terminal and rubbish apart", async () => {
    using store = new CliStore();
    assert.equal((await store.run(["register", "/no/such/file"])).code, 3);
    assert.equal((await store.run(["register", "--parent", "nobody"], { stdin: BASE })).code, 3);
    assert.equal((await store.run(["register", store.dir])).code, 2);
    assert.equal((await store.run(["register"], { terminals: ["stdin"] })).code, 2);
    const { code, stderr } = await store.run(["register", "--json"], { stdin: "rubbish ".repeat(200) });
    assert.equal(code, 5);
    assert.equal(JSON.parse(stderr).error.code, "INVALID_ARCHIVE");
  });

  it("says when attributes could not be set, unless it is to be quiet", async () => {
    using store = new CliStore();
    const xattrs = new Map([[fromText("nowhere.x"), new Uint8Array([1])]]);
    const stdin = layerTar([file("a", "", { xattrs, ...OWN })]);
    const { code, stderr } = await store.run(["register"], { stdin });
    assert.equal(code, 0, stderr);
    assert.match(
      stderr,
      /^warning: 1 attribute could not be set here \(first: xattr nowhere\.x of "a": .*inspect" lists it\n$/,
    );
    assert.equal((await store.run(["register", "-q"], { stdin })).stderr, "");
    const json = await store.run(["register", "--json"], { stdin });
    assert.equal(JSON.parse(json.stderr).notice.level, "warn");
    const { chainId, droppedAttributes } = JSON.parse(json.stdout);
    assert.equal(droppedAttributes, 1);
    const [{ dropped }] = JSON.parse(await store.ok(["inspect", chainId]));
    assert.deepEqual(dropped.map(Object.keys), [["entry", "attribute", "reason"]]);
    assert.deepEqual([dropped[0].entry, dropped[0].attribute], ["a", "xattr nowhere.x"]);
  });

  it("shows progress as it is told", async () => {
    using store = new CliStore();
    const path = store.file("base.tar", BASE);
    const none = await store.run(["register", path]);
    assert.equal(none.stderr, "");
    const plain = await store.run(["register", path, "--progress", "plain"]);
    assert.match(plain.stderr, /^register: [\d.]+ kB in [\d.]+ s\n$/);
    const json = await store.run(["register", path, "--progress", "json"]);
    const last = JSON.parse(json.stderr.trimEnd().split("\n").at(-1) ?? "");
    assert.deepEqual(last, {
      schema: 1,
      progress: { operation: "register", phase: "done", bytes: BASE.length, totalBytes: BASE.length },
    });
    const bar = await store.run(["register", path], { terminals: ["stderr"] });
    assert.equal(bar.stdout, `${CHAIN_BASE}\n`);
    const quiet = await store.run(["register", path, "-q"], { terminals: ["stderr"] });
    assert.equal(quiet.stderr, "");
  });
});

describe("strata layers", () => {
  it("lists records and writable layers as a table, as ids, as JSON, and as lines of JSON", async () => {
    using store = await twoLayers();
    await store.ok(["create", "work", "--parent", "top"]);
    const table = (await store.ok(["layers"])).split("\n").map((line) => line.split(/\s{2,}/));
    assert.deepEqual(table.map((row) => row.slice(0, 5)), [
      ["ID", "KIND", "NAMES", "PARENT", "SIZE"],
      ["1-base", "layer", "base", "-", "5 B"],
      ["2-top", "layer", "top", CHAIN_BASE.slice(7, 19), "5 B"],
      ["work", "writable", CHAIN_TOP.slice(7, 19), "-", table[3]?.[4]],
    ]);
    assert.equal(await store.ok(["ls", "-q"]), "1-base\n2-top\nwork");
    const { schema, layers } = JSON.parse(await store.ok(["layers", "--json"]));
    assert.equal(schema, 1);
    assert.deepEqual(layers.map((layer: { kind: string; parent: string | null }) => [layer.kind, layer.parent]), [
      ["layer", null],
      ["layer", CHAIN_BASE],
      ["writable", CHAIN_TOP],
    ]);
    const lines = (await store.ok(["layers", "--format", "jsonl"])).split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines, layers.map((layer: object) => ({ schema: 1, ...layer })));
  });

  it("prints an empty list", async () => {
    using store = new CliStore();
    assert.match(await store.ok(["layers"]), /^ID +KIND +NAMES +PARENT +SIZE +CREATED$/);
    assert.equal(await store.ok(["layers", "-q"]), "");
    assert.deepEqual(JSON.parse(await store.ok(["layers", "--json"])), { schema: 1, layers: [] });
  });

  it("draws the tree of layers", async () => {
    using store = await twoLayers();
    await store.ok(["create", "work", "--parent", "top"]);
    await store.ok(["create", "alone"]);
    assert.equal(
      await store.ok(["layers", "--tree"]),
      [
        `${CHAIN_BASE.slice(7, 19)} 5 B base`,
        `└─ ${CHAIN_TOP.slice(7, 19)} 5 B top`,
        "   └─ writable work",
        "writable alone",
      ].join("\n"),
    );
  });
});

describe("strata inspect", () => {
  it("prints an array, for one layer, for several, and for writable ones", async () => {
    using store = await twoLayers();
    await store.ok(["create", "work", "--parent", "top"]);
    const [one, ...none] = JSON.parse(await store.ok(["inspect", "top"]));
    assert.deepEqual(none, []);
    assert.equal(one.schema, 1);
    assert.equal(one.chainId, CHAIN_TOP);
    assert.equal(one.size, 10);
    assert.deepEqual([one.archiveSize, one.uids, one.gids], [TOP.length, [0], [0]]);
    assert.equal(one.driver.name, "vfs");
    assert.deepEqual(one.records.map(({ id }: { id: string }) => id), ["2-top"]);
    const kinds = JSON.parse(await store.ok(["inspect", "base", "work"])).map(({ kind }: { kind: string }) => kind);
    assert.deepEqual(kinds, ["layer", "writable"]);
  });

  it("prints nothing when one of the layers is not there", async () => {
    using store = await twoLayers();
    const { code, stdout } = await store.run(["inspect", "base", "nobody"]);
    assert.equal(code, 3);
    assert.equal(stdout, "");
  });
});

describe("strata exists", () => {
  it("answers by its exit code and prints nothing", async () => {
    using store = await twoLayers();
    for (const [ref, code] of [["base", 0], ["2-top", 0], [CHAIN_TOP, 0], ["nobody", 1], [digestOf("x"), 1]] as const) {
      const result = await store.run(["exists", ref]);
      assert.deepEqual([result.code, result.stdout, result.stderr], [code, "", ""]);
    }
  });
});

describe("strata name", () => {
  it("adds, sets and removes names, and prints what is left", async () => {
    using store = await twoLayers();
    assert.deepEqual((await store.ok(["name", "add", "base", "x", "y"])).split("\n").sort(), ["base", "x", "y"]);
    assert.equal(await store.ok(["name", "rm", "base", "x", "y"]), "base");
    assert.equal(await store.ok(["name", "set", CHAIN_BASE, "only"]), "only");
    const { names } = JSON.parse(await store.ok(["name", "--json", "rm", "only", "only"]));
    assert.deepEqual(names, []);
    assert.equal((await store.run(["exists", "base"])).code, 1);
  });

  it("refuses a name that another layer has, and a layer that is not there", async () => {
    using store = await twoLayers();
    assert.equal((await store.run(["name", "add", "base", "top"])).code, 4);
    assert.equal((await store.run(["name", "add", "nobody", "x"])).code, 3);
    await store.ok(["register"], { stdin: BASE });
    const { code, stderr } = await store.run(["name", "add", CHAIN_BASE, "x", "--json"]);
    assert.equal(code, 3);
    assert.equal(JSON.parse(stderr).error.candidates.length, 2);
  });
});

describe("a REF", () => {
  it("may be a prefix that fits one layer, and candidates are named when it fits several", async () => {
    using store = new CliStore();
    await store.ok(["register", "--id", "same-1"], { stdin: BASE });
    await store.ok(["register", "--id", "same-2"], { stdin: TOP });
    assert.equal((await store.run(["exists", "same-1"])).code, 0);
    const { code, stderr } = await store.run(["inspect", "same", "--json"]);
    assert.equal(code, 3);
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, "AMBIGUOUS");
    assert.deepEqual(error.candidates, ["same-1", "same-2"]);
    const exists = await store.run(["exists", "same"]);
    assert.equal(exists.code, 3);
    assert.match(exists.stderr, /it fits same-1, same-2/);
  });
});

/** Whose files any user can make. */
const OWN = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

async function twoLayers(): Promise<CliStore> {
  const store = new CliStore();
  await store.ok(["register", "--id", "1-base", "--name", "base"], { stdin: BASE });
  await store.ok(["register", "--id", "2-top", "--name", "top", "--parent", "base"], { stdin: TOP });
  return store;
}
