// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar, whiteout } from "../../src/testing/layer_builder.ts";
import { CliStore } from "../support/run_cli.ts";

const BASE = layerTar([dir("d"), file("d/a", "alpha"), file("d/gone", "")]);
const TOP = layerTar([whiteout("d/gone"), file("d/b", "beta")]);
const CHAIN_BASE = digestOf(BASE);
const CHAIN_TOP = digestOf(`${CHAIN_BASE} ${digestOf(TOP)}`);

describe("strata export", () => {
  it("gives the same bytes back, on standard output and in a file", async () => {
    using store = await twoLayers();
    const { code, stdoutBytes, stderr } = await store.run(["export", "top"]);
    assert.equal(code, 0);
    assert.equal(stderr, "");
    assert.deepEqual(stdoutBytes, TOP);
    const dashed = await store.run(["export", "top", "-o", "-"]);
    assert.deepEqual(dashed.stdoutBytes, TOP);
    assert.equal(await store.ok(["export", "base", "-o", store.path("base.tar")]), "");
    assert.deepEqual(new Uint8Array(readFileSync(store.path("base.tar"))), BASE);
  });

  it("compresses", async () => {
    using store = await twoLayers();
    const { stdoutBytes } = await store.run(["export", "base", "--compress", "gzip"]);
    assert.deepEqual(new Uint8Array(gunzipSync(stdoutBytes)), BASE);
    assert.equal((await store.run(["export", "base", "--compress", "rar"])).code, 2);
  });

  it("never writes to a terminal", async () => {
    using store = await twoLayers();
    for (const args of [["export", "base"], ["export", "base", "-o", "-"], ["diff", "base"]]) {
      const { code, stdout, stderr } = await store.run(args, { terminals: ["stdout"] });
      assert.equal(code, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /terminal\nhint: Add -o FILE/);
    }
    await store.ok(["export", "base", "-o", store.path("x.tar")], { terminals: ["stdout"] });
  });

  it("merges what lies above an ancestor, and refuses what is none", async () => {
    using store = await twoLayers();
    await store.ok(["register", "--parent", "top", "--name", "third"], { stdin: layerTar([file("c", "gamma")]) });
    await store.ok(["export", "third", "--from", "base", "-o", store.path("merged.tar")]);
    using other = new CliStore();
    await other.ok(["register", "--name", "base"], { stdin: BASE });
    await other.ok(["register", store.path("merged.tar"), "--parent", "base", "--name", "merged"]);
    assert.deepEqual((await other.ok(["changes", "merged"])).split("\n").sort(), [
      "A /c",
      "A /d/b",
      "C /d",
      "D /d/gone",
    ]);
    for (const from of ["third", "top"]) {
      const { code, stderr } = await store.run(["export", "top", "--from", from, "--json"]);
      assert.equal(code, 2);
      assert.equal(JSON.parse(stderr).error.code, "NOT_A_PARENT");
    }
  });

  it("fails for a damaged layer, and leaves the file as it was", async () => {
    using store = await twoLayers();
    damage(store);
    const path = store.path("base.tar");
    const first = await store.run(["export", "base", "-o", path, "--json"]);
    assert.equal(first.code, 5);
    assert.equal(JSON.parse(first.stderr).error.code, "CORRUPT");
    assert.ok(!existsSync(path));
    writeFileSync(path, "old");
    assert.equal((await store.run(["export", "base", "-o", path])).code, 5);
    assert.equal(readFileSync(path, "utf8"), "old");
    assert.deepEqual(readdirSync(store.dir).filter((name) => name.includes("tmp")), []);
  });
});

describe("strata verify", () => {
  it("prints a line for each layer, and fails when one is damaged", async () => {
    using store = await twoLayers();
    assert.deepEqual((await store.ok(["verify"])).split("\n").sort(), [`ok ${CHAIN_BASE}`, `ok ${CHAIN_TOP}`].sort());
    assert.equal(await store.ok(["verify", "top"]), `ok ${CHAIN_TOP}`);
    damage(store);
    const { code, stdout } = await store.run(["verify", "base", "top"]);
    assert.equal(code, 1);
    const [bad = "", ok = ""] = stdout.split("\n");
    assert.match(bad, new RegExp(`^bad ${CHAIN_BASE} .+ \\S+$`));
    assert.equal(ok, `ok ${CHAIN_TOP}`);
    const json = await store.run(["verify", "base", "--json"]);
    assert.equal(json.code, 1);
    const [layer] = JSON.parse(json.stdout).layers;
    assert.deepEqual(Object.keys(layer), ["chainId", "state", "reason", "path"]);
  });

  it("counts layers whose record is damaged", async () => {
    using store = await twoLayers();
    writeFileSync(recordFile(store, CHAIN_TOP, "size"), "many");
    for (const args of [["verify"], ["verify", "top"], ["verify", CHAIN_TOP]]) {
      const { code, stdout } = await store.run(args);
      assert.equal(code, 1, args.join(" "));
      assert.match(stdout, new RegExp(`^bad ${CHAIN_TOP} .*no size`, "m"));
    }
    assert.match(await store.ok(["layers"]), /^[0-9a-f]{12} +layer +top /m, "a list reads no layer's own record");
  });

  it("says of a record in a list that its layer is gone", async () => {
    using store = await twoLayers();
    rmSync(dirname(recordFile(store, CHAIN_TOP, "size")), { recursive: true });
    assert.match(await store.ok(["layers"]), /layer \(damaged\) +top /);
    const { layers } = JSON.parse(await store.ok(["layers", "--json"]));
    assert.deepEqual(layers.map(({ state }: { state: string }) => state), ["ok", "damaged"]);
  });

  it("says when there is no such layer, and nothing when there are none", async () => {
    using store = new CliStore();
    assert.equal(await store.ok(["verify"]), "");
    assert.equal((await store.run(["verify", "nobody"])).code, 3);
  });
});

describe("strata rm", () => {
  it("prints what went, which is not what others need", async () => {
    using store = await twoLayers();
    assert.equal(await store.ok(["rm", "base", "--force"]), "");
    assert.equal(await store.ok(["rm", "top"]), `${CHAIN_TOP}\n${CHAIN_BASE}`);
    assert.equal(await store.ok(["verify"]), "");
  });

  it("refuses what others need, and names them", async () => {
    using store = await twoLayers();
    const { code, stderr } = await store.run(["rm", "base", "--json"]);
    assert.equal(code, 4);
    assert.deepEqual(JSON.parse(stderr).error.usedBy, [`layer ${CHAIN_TOP}`]);
    assert.equal((await store.run(["exists", "base"])).code, 0);
  });

  it("removes several at once, and none when one is not there", async () => {
    using store = await twoLayers();
    assert.equal((await store.run(["rm", "top", "nobody"])).code, 3);
    assert.equal((await store.run(["exists", "top"])).code, 0);
    const { schema, deleted } = JSON.parse(await store.ok(["rm", "top", "base", "--json"]));
    assert.equal(schema, 1);
    assert.deepEqual(deleted.map(({ chainId }: { chainId: string }) => chainId), [CHAIN_TOP, CHAIN_BASE]);
  });

  it("removes all records of a ChainID", async () => {
    using store = new CliStore();
    for (const name of ["x", "y"]) await store.ok(["register", "--name", name], { stdin: BASE });
    assert.equal(await store.ok(["rm", CHAIN_BASE]), CHAIN_BASE);
    assert.equal(await store.ok(["layers", "-q"]), "");
  });

  it("names what still uses a layer that has no record", async () => {
    using store = await twoLayers();
    await store.ok(["rm", "base", "--force"]);
    const { code, stderr } = await store.run(["rm", CHAIN_BASE, "--json"]);
    assert.equal(code, 4);
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, "IN_USE");
    assert.deepEqual(error.usedBy, [`layer ${CHAIN_TOP}`]);
  });

  it("removes a writable layer, and what only it needed", async () => {
    using store = await twoLayers();
    await store.ok(["create", "work", "--parent", "top"]);
    assert.equal((await store.run(["rm", "top"])).code, 4);
    await store.ok(["rm", "top", "base", "--force"]);
    assert.equal(await store.ok(["rm", "work"]), `${CHAIN_TOP}\n${CHAIN_BASE}`);
  });

  it("removes a record that is damaged", async () => {
    using store = await twoLayers();
    const records = join(store.path("root"), "strata/catalog/records");
    const alternatives = [records, join(store.path("root"), "image/vfs/strata/catalog/records")];
    const home = alternatives.find((path) => existsSync(path));
    assert.ok(home !== undefined);
    const [name = ""] = readdirSync(home).filter((name) => readFileSync(join(home, name), "utf8").includes('"top"'));
    writeFileSync(join(home, name), "{");
    const id = name.replace(/\.json$/, "");
    assert.equal((await store.run(["rm", id])).code, 0);
    assert.ok(!existsSync(join(home, name)));
  });
});

async function twoLayers(): Promise<CliStore> {
  const store = new CliStore();
  await store.ok(["register", "--name", "base"], { stdin: BASE });
  await store.ok(["register", "--name", "top", "--parent", "base"], { stdin: TOP });
  return store;
}

/** Changes a byte of the base layer's file `d/a`; the vfs driver keeps whole trees. */
function damage(store: CliStore): void {
  const home = join(store.path("root"), "vfs/dir");
  const cacheId = readFileSync(recordFile(store, CHAIN_BASE, "cache-id"), "utf8");
  writeFileSync(join(home, cacheId, "d/a"), "alphA");
}

function recordFile(store: CliStore, chainId: ReturnType<typeof digestOf>, name: string): string {
  return join(store.path("root"), "image/vfs/layerdb/sha256", digestHex(chainId), name);
}
