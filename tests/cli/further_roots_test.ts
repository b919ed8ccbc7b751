// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { type CliResult, CliStore } from "../support/run_cli.ts";

const BASE = layerTar([file("a", "alpha")]);
const TOP = layerTar([file("b", "beta!")]);
const OWN = layerTar([file("own", "own")]);
const CHAIN_BASE = digestOf(BASE);
const CHAIN_TOP = digestOf(`${CHAIN_BASE} ${digestOf(TOP)}`);

describe("a REF in a root that is only read", () => {
  let shelf: CliStore;
  let store: CliStore;

  before(async () => {
    shelf = await filledShelf();
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

  it("is listed after the own ones, with the root", async () => {
    const rows = (await ok("layers")).split("\n");
    assert.match(rows[0] ?? "", / ROOT$/);
    assert.deepEqual(rows.slice(1).map((row) => row.split(/\s/)[0]), ["own", "1-base", "2-top", "work"]);
    assert.ok(rows[2]?.endsWith(shelf.path("root")));
    const { layers } = JSON.parse(await ok("layers", "--json"));
    assert.deepEqual(layers.map(({ root }: { root: string | null }) => root), [
      null,
      ...Array.from({ length: 3 }, () => shelf.path("root")),
    ]);
    assert.doesNotMatch(await store.ok(["layers"]), /ROOT/);
    assert.equal(JSON.parse(await store.ok(["layers", "--json"])).layers[0].root, null);
  });

  it("is found by what reads", async () => {
    assert.equal((await run("exists", "top")).code, 0);
    assert.equal((await store.run(["exists", "top"])).code, 1);
    const [{ chainId, root, records: [record] }] = JSON.parse(await ok("inspect", "top"));
    assert.deepEqual([chainId, root, record.id, record.root], [CHAIN_TOP, shelf.path("root"), "2-top", root]);
    assert.equal(record.metadata, "on the shelf");
    assert.equal(await ok("metadata", "top"), "on the shelf");
    assert.equal(await ok("data", "get", "top", "k"), "bytes");
    assert.deepEqual((await run("export", "top")).stdoutBytes, TOP);
    assert.ok((await ok("export", "top", "--from", "base", "-o", "-")).length > 0);
    assert.equal((await run("export", "base", "--from", "top")).code, 2);
    assert.equal(await ok("verify", "top", "mine"), `ok ${CHAIN_TOP}\nok ${digestOf(OWN)}`);
    assert.ok((await ok("changes", "top")).split("\n").includes("A /b"));
    assert.ok((await ok("changes", "top", "base")).split("\n").includes("A /b"));
    assert.ok((await run("diff", "top")).stdoutBytes.length > 0);
    assert.equal((await run("changes", "top", "mine")).code, 3);
  });

  it("is not verified unless it is named, and that is said", async () => {
    const { code, stdout, stderr } = await run("verify");
    assert.deepEqual([code, stdout], [0, `ok ${digestOf(OWN)}\n`]);
    assert.match(stderr, /^note: Only the store's own layers are verified/);
    assert.equal((await run("verify", "-q")).stderr, "");
  });

  it("is mounted for reading, and lies below writable layers", async () => {
    const path = await ok("mount", "top");
    try {
      assert.equal(readFileSync(join(path, "b"), "utf8"), "beta!");
    } finally {
      await ok("unmount", "top");
    }
    await ok("create", "mywork", "--parent", "top");
    assert.equal(await ok("changes", "mywork"), "");
    await ok("rm", "mywork");
  });

  it("is mounted for reading when it is a writable layer, under its own name", async () => {
    const path = await ok("mount", "work");
    try {
      assert.deepEqual(readdirSync(path).sort(), ["a", "b"]);
      const { mounts: [mount] } = JSON.parse(await ok("mounts", "--json"));
      assert.deepEqual([mount.path, mount.name, mount.record, mount.count], [path, "work", "work", 1]);
      assert.equal(await ok("layers", "-q"), "own\n1-base\n2-top\nwork");
    } finally {
      await ok("unmount", "work");
    }
    assert.equal(await ok("mounts", "-q"), "");
  });

  it("cannot be changed, and the message says what helps", async () => {
    const changes: readonly (readonly string[])[] = [
      ["name", "add", "top", "x"],
      ["metadata", "top", "x"],
      ["flag", "set", "top", "x"],
      ["flag", "clear", "top", "x"],
      ["data", "set", "top", "x", "-f", "/dev/null"],
      ["rm", "top"],
      ["rm", "work"],
      ["apply", "work", "/dev/null"],
    ];
    for (const words of changes) {
      const { code, stderr } = await run(...words);
      assert.equal(code, 7, `${words.join(" ")}: ${stderr}`);
      assert.match(stderr, /only read; copy it first, with "strata adopt"/);
    }
    assert.equal(await shelf.ok(["layers", "-q"]), "1-base\n2-top\nwork");
  });
});

describe("strata adopt", () => {
  it("copies records, and tells what became of each", async () => {
    using shelf = await filledShelf();
    using store = new CliStore();
    await store.ok(["register", "--name", "second"], { stdin: OWN });
    const from = ["--from", shelf.path("root")];
    const first = await store.run(["adopt", ...from, "top"]);
    assert.deepEqual([first.code, first.stdout], [0, "adopted 2-top top\n"], first.stderr);
    assert.match(first.stderr, /^warning: 2-top came without second: /);
    assert.equal(await store.ok(["metadata", "top"]), "on the shelf");
    assert.deepEqual((await store.run(["export", "top"])).stdoutBytes, TOP);
    const all = JSON.parse(await store.ok(["adopt", ...from, "--all", "--json"]));
    const ids = (records: readonly { readonly id: string }[]) => records.map(({ id }) => id);
    assert.deepEqual([ids(all.adopted), ids(all.present), ids(all.skipped), all.failed], [
      ["1-base"],
      ["2-top"],
      ["work"],
      [],
    ]);
    assert.match(await store.ok(["adopt", ...from, "--all"]), /^present 1-base\npresent 2-top\nskipped work \(.+\)$/);
    assert.equal(await store.ok(["adopt", ...from, "--all", "-q"]), "");
  });

  it("ends with what the first failure means, and adopts the others", async () => {
    using shelf = await filledShelf();
    using store = new CliStore();
    await store.ok(["register", "--id", "1-base"], { stdin: OWN });
    const { code, stdout, stderr } = await store.run(["adopt", "--from", shelf.path("root"), "base", "top", "--json"]);
    assert.equal(code, 4, stderr);
    const { adopted, failed } = JSON.parse(stdout);
    assert.equal(adopted[0].id, "2-top");
    assert.deepEqual([failed[0].id, failed[0].error.code], ["1-base", "CONFLICT"]);
    const again = await store.run(["adopt", "--from", shelf.path("root"), "base", "top"]);
    assert.deepEqual([again.code, again.stdout], [4, "present 2-top\nfailed 1-base (CONFLICT)\n"]);
  });

  it("refuses wrong use", async () => {
    using shelf = await filledShelf();
    using store = new CliStore();
    const from = ["--from", shelf.path("root")];
    for (const words of [[], ["x"], [...from], [...from, "--all", "x"]]) {
      assert.equal((await store.run(["adopt", ...words])).code, 2, words.join(" "));
    }
    assert.equal((await store.run(["adopt", ...from, "nobody"])).code, 3);
    assert.equal((await store.run(["adopt", "--from", store.path("none"), "--all"])).code, 3);
    assert.equal((await store.run(["adopt", "--from", store.path("root"), "--all"])).code, 2);
  });
});

async function filledShelf(): Promise<CliStore> {
  const shelf = new CliStore();
  await shelf.ok(["register", "--id", "1-base", "--name", "base"], { stdin: BASE });
  const data = `k=${shelf.file("item", new TextEncoder().encode("bytes"))}`;
  const about = ["--name", "top", "--name", "second", "--metadata", "on the shelf", "--data", data];
  await shelf.ok(["register", "--id", "2-top", "--parent", "base", ...about], { stdin: TOP });
  await shelf.ok(["create", "work", "--parent", "top"]);
  return shelf;
}
