// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { LayerStore } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { type CliResult, CliStore } from "../support/run_cli.ts";
import { streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([file("a", "alpha")]);
const TOP = layerTar([file("b", "beta!")]);
const OWN = layerTar([file("own", "own")]);
const CHAIN_BASE = digestOf(BASE);
const CHAIN_TOP = digestOf(`${CHAIN_BASE} ${digestOf(TOP)}`);

describe("a layer in a root that is only read, without a record", () => {
  let shelf: CliStore;
  let store: CliStore;

  before(async () => {
    shelf = await bareShelf();
    store = new CliStore();
    await store.ok(["register", "--id", "own", "--name", "mine"], { stdin: OWN });
  });

  after(() => {
    for (const each of [shelf, store]) each[Symbol.dispose]();
  });

  const run = (...words: string[]): Promise<CliResult> => store.run(["--read-only-root", shelf.path("root"), ...words]);
  const ok = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...words);
    assert.equal(code, 0, stderr);
    return stdout.trimEnd();
  };
  const bare = [CHAIN_BASE, CHAIN_TOP].sort();

  it("is listed by its ChainID, in each form", async () => {
    const rows = (await ok("layers")).split("\n").map((row) => row.split(/\s{2,}/));
    assert.deepEqual(rows.slice(1).map(([id]) => id), ["own", ...bare.map((id) => id.slice(7, 19)), "box"]);
    assert.deepEqual(rows.slice(2).map((row) => row.at(-1)), Array.from({ length: 3 }, () => shelf.path("root")));
    assert.equal(await ok("layers", "-q"), ["own", ...bare, "box"].join("\n"));
    const { layers } = JSON.parse(await ok("layers", "--json"));
    const document = {
      kind: "layer",
      id: CHAIN_TOP,
      names: [],
      chainId: CHAIN_TOP,
      diffId: digestOf(TOP),
      parent: CHAIN_BASE,
      diffSize: 5,
      root: shelf.path("root"),
      state: "ok",
    };
    const { created, ...top } = layers.find(({ id }: { id: string }) => id === CHAIN_TOP);
    assert.ok(Date.parse(created) > 0);
    assert.deepEqual(top, document);
    const box = layers.find(({ id }: { id: string }) => id === "box");
    assert.deepEqual([box.kind, box.parent, box.root], ["writable", CHAIN_TOP, shelf.path("root")]);
    const lines = (await ok("layers", "--format", "jsonl")).split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines, layers.map((layer: object) => ({ schema: 1, ...layer })));
  });

  it("is drawn in the tree, below what it lies on", async () => {
    const root = `[${shelf.path("root")}]`;
    const [base, top, own] = [CHAIN_BASE, CHAIN_TOP, digestOf(OWN)].map((id) => id.slice(7, 19));
    const theirs = [`${base} 5 B ${root}`, `└─ ${top} 5 B ${root}`, `   └─ writable box ${root}`];
    const mine = [`${own} 3 B mine`];
    const expected = CHAIN_BASE < digestOf(OWN) ? [...theirs, ...mine] : [...mine, ...theirs];
    assert.equal(await ok("layers", "--tree"), expected.join("\n"));
  });

  it("is usable by the id that is shown", async () => {
    for (const [id, tar] of [[CHAIN_BASE, BASE], [CHAIN_TOP, TOP]] as const) {
      for (const ref of [id, id.slice(7, 19)]) {
        assert.equal((await run("exists", ref)).code, 0);
        assert.equal(JSON.parse(await ok("inspect", ref))[0].root, shelf.path("root"));
        assert.equal(await ok("verify", ref), `ok ${id}`);
        assert.deepEqual((await run("export", ref)).stdoutBytes, tar);
      }
    }
    assert.match(await ok("changes", CHAIN_TOP), /^A \/b$/m);
    assert.match(await ok("changes", "box"), /^A \/own$/m);
    const path = await ok("mount", CHAIN_TOP);
    assert.equal(readFileSync(join(path, "b"), "utf8"), "beta!");
    assert.equal(await ok("unmount", CHAIN_TOP), "");
    const box = await ok("mount", "box");
    assert.deepEqual(readdirSync(box).sort(), ["a", "b", "own"]);
    assert.match(await ok("mounts"), / box +1$/m);
    assert.equal((await run("exists", CHAIN_TOP)).code, 0);
    assert.equal(await ok("unmount", "box"), "");
    assert.equal((await run("unmount", "box")).code, 3);
    assert.equal((await run("rm", CHAIN_TOP)).code, 7);
    assert.equal((await run("rm", "box")).code, 7);
  });

  it("is the own one as soon as that is there, and is listed once", async () => {
    using store = new CliStore();
    await store.ok(["register", "--id", "base"], { stdin: BASE });
    const roots = ["--read-only-root", shelf.path("root")];
    await store.ok([...roots, "register", "--id", "more", "--parent", CHAIN_TOP], { stdin: OWN });
    const { layers } = JSON.parse(await store.ok([...roots, "layers", "--json"]));
    assert.deepEqual(layers.map(({ id, root }: { id: string; root: string | null }) => [id, root]), [
      ["base", null],
      ["more", null],
      [CHAIN_TOP, null],
      ["box", shelf.path("root")],
    ]);
    assert.equal(JSON.parse(await store.ok([...roots, "inspect", CHAIN_TOP]))[0].root, null);
    await store.ok(["rm", "more"]);
    assert.equal((await store.ok([...roots, "layers", "-q"])).split("\n").length, 3);
  });

  it("is not listed when it is writable and its name means something before it", async () => {
    for (const about of [["--id", "box"], ["--name", "box"]]) {
      using store = new CliStore();
      await store.ok(["register", ...about], { stdin: OWN });
      const { layers } = JSON.parse(await store.ok(["--read-only-root", shelf.path("root"), "layers", "--json"]));
      assert.deepEqual(layers.map(({ kind }: { kind: string }) => kind), ["layer", "layer", "layer"]);
    }
  });

  it("is named when it is damaged, and hides no other", async () => {
    using shelf = await bareShelf();
    writeFileSync(join(shelf.path("root"), "image/vfs/layerdb/sha256", CHAIN_TOP.slice(7), "size"), "many");
    const words = ["--read-only-root", shelf.path("root"), "layers"];
    const { code, stdout, stderr } = await store.run([...words, "-q"]);
    assert.deepEqual([code, stdout, stderr], [0, `own\n${CHAIN_BASE}\nbox\n`, ""]);
    const said = await store.run(words);
    assert.match(said.stderr, new RegExp(`^warning: Cannot read layer ${CHAIN_TOP}: .*/size" holds "many"`));
    assert.match((await store.run([...words, "--tree"])).stdout, /^writable box \[/m);
    const noticed = await store.run([...words, "--json"]);
    assert.equal(JSON.parse(noticed.stderr).notice.level, "warn");
    assert.equal(JSON.parse(noticed.stdout).layers.length, 3);
  });
});

describe("a layer of the store itself, without a record", () => {
  it("is listed by its ChainID", async () => {
    using store = await bareShelf();
    const bare = [CHAIN_BASE, CHAIN_TOP].sort();
    assert.equal(await store.ok(["layers", "-q"]), [...bare, "box"].join("\n"));
    assert.doesNotMatch(await store.ok(["layers"]), /ROOT/);
    await store.ok(["register", "--id", "base"], { stdin: BASE });
    assert.equal(await store.ok(["layers", "-q"]), `base\n${CHAIN_TOP}\nbox`);
    await store.ok(["rm", "box"]);
  });
});

/** Layers and a writable one as Docker leaves them: nothing in the catalog. */
async function bareShelf(): Promise<CliStore> {
  const shelf = new CliStore();
  await using store = await LayerStore.open({ root: shelf.path("root"), runRoot: shelf.path("run"), driver: "vfs" });
  const base = await store.register(streamOf(BASE));
  const { chainId } = await store.register(streamOf(TOP), { parent: base.chainId });
  await store.createRWLayer("box", { parent: chainId });
  await store.applyDiff("box", streamOf(OWN));
  return shelf;
}
