// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { digestHex, digestOf } from "../../src/core/digest.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { CliStore } from "../support/run_cli.ts";

const BASE = layerTar([file("a", "alpha")]);
const CHAIN_BASE = digestOf(BASE);

describe("strata metadata", () => {
  it("prints the text that it was given as a word, a file, or standard input", async () => {
    using store = await withBase();
    assert.equal(await store.ok(["metadata", "base"]), "");
    assert.equal(await store.ok(["metadata", "base", "one"]), "");
    assert.equal(await store.ok(["metadata", "base"]), "one");
    await store.ok(["metadata", "base", "-"], { stdin: "two\n" });
    assert.equal((await store.run(["metadata", "base"])).stdout, "two\n\n");
    const path = store.file("text", new TextEncoder().encode("thrée"));
    const set = JSON.parse(await store.ok(["metadata", "base", "--file", path, "--json"]));
    assert.deepEqual(set, { schema: 1, id: "1-base", metadata: "thrée" });
    await store.ok(["metadata", CHAIN_BASE, ""]);
    assert.deepEqual((await store.run(["metadata", "base"])).stdout, "");
  });

  it("refuses two sources, bytes that are no text, a terminal, and what has no record", async () => {
    using store = await withBase();
    assert.equal((await store.run(["metadata", "base", "x", "-f", "y"])).code, 2);
    const bytes = await store.run(["metadata", "base", "-"], { stdin: new Uint8Array([0xff]) });
    assert.equal(bytes.code, 2);
    assert.match(bytes.stderr, /no UTF-8 text\nhint: .*data set/);
    assert.equal((await store.run(["metadata", "base", "-"], { terminals: ["stdin"] })).code, 2);
    assert.equal((await store.run(["metadata", "base", "-f", "/no/such/file"])).code, 3);
    assert.equal((await store.run(["metadata", "nobody"])).code, 3);
    assert.equal((await store.run(["metadata", "base", "-"], { stdin: "x".repeat(5 * 1024 * 1024) })).code, 5);
    assert.equal(await store.ok(["metadata", "base"]), "");
  });
});

describe("strata flag", () => {
  it("sets flags to any JSON, and clears them", async () => {
    using store = await withBase();
    assert.equal(await store.ok(["flag", "set", "base", "on"]), "true");
    assert.equal(await store.ok(["flag", "set", "base", "text", '"a b"']), '"a b"');
    assert.equal(await store.ok(["flag", "set", "base", "less", "-1"]), "-1");
    const { flags, value } = JSON.parse(await store.ok(["flag", "set", "base", "many", '{"a":[1,null]}', "--json"]));
    assert.deepEqual(value, { a: [1, null] });
    assert.deepEqual(flags, { on: true, text: "a b", less: -1, many: value });
    assert.equal(await store.ok(["flag", "clear", "base", "many"]), "");
    const cleared = JSON.parse(await store.ok(["flag", "clear", "base", "never-set", "--json"]));
    assert.deepEqual(cleared, { schema: 1, id: "1-base", flags: { on: true, text: "a b", less: -1 } });
  });

  it("refuses what is no JSON, and says how to quote it", async () => {
    using store = await withBase();
    for (const wrong of ["word", "{a:1}", "", "1e999", "[1", "9007199254740993", '{"a":[-1e300]}']) {
      const { code, stderr } = await store.run(["flag", "set", "base", "key", wrong]);
      assert.equal(code, 2, wrong);
      assert.match(stderr, /value of flag "key": .*\nhint: /);
      assert.match(stderr, wrong === "word" ? /double quotes, as '"word"'/ : /must be JSON|double quotes/);
    }
    assert.equal((await store.run(["flag", "set", "base", ""])).code, 2);
    assert.equal((await store.run(["flag", "set", "nobody", "key"])).code, 3);
    const [{ records: [{ flags }] }] = JSON.parse(await store.ok(["inspect", "base"]));
    assert.deepEqual(flags, {});
  });
});

describe("strata data", () => {
  it("keeps bytes and gives them back, with size and digest", async () => {
    using store = await withBase();
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251);
    const digest = digestOf(bytes);
    assert.equal(await store.ok(["data", "set", "base", "a key"], { stdin: bytes }), digest);
    await store.ok(["data", "set", "base", "small", "-f", store.file("small", new Uint8Array([1, 2]))]);
    assert.deepEqual((await store.run(["data", "get", "base", "a key"])).stdoutBytes, bytes);
    await store.ok(["data", "get", "base", "a key", "-f", store.path("out")]);
    assert.deepEqual(new Uint8Array(readFileSync(store.path("out"))), bytes);
    assert.equal(await store.ok(["data", "size", "base", "a key"]), "300000");
    assert.equal(await store.ok(["data", "digest", "base", "a key"]), digest);
    assert.equal(await store.ok(["data", "ls", "base", "-q"]), "a key\nsmall");
    assert.match(await store.ok(["data", "ls", "base"]), /^KEY +SIZE +DIGEST\n"a key" +300 kB +sha256:.*\nsmall +2 B/);
    const { data } = JSON.parse(await store.ok(["data", "ls", "base", "--json"]));
    assert.deepEqual(data[0], { key: "a key", digest, size: 300_000 });
    const size = JSON.parse(await store.ok(["data", "size", "base", "small", "--json"]));
    assert.deepEqual([size.key, size.size], ["small", 2]);
  });

  it("tells a missing record, item or file apart from wrong use", async () => {
    using store = await withBase();
    for (const verb of ["get", "digest", "size"]) {
      assert.equal((await store.run(["data", verb, "base", "none"])).code, 3);
      assert.equal((await store.run(["data", verb, "nobody", "none"])).code, 3);
      assert.equal((await store.run(["data", verb, "base"])).code, 2);
    }
    assert.equal((await store.run(["data", "set", "base", "k", "-f", "/no/such/file"])).code, 3);
    assert.equal((await store.run(["data", "set", "base", "k"], { terminals: ["stdin"] })).code, 2);
    assert.equal((await store.run(["data", "set", "base", ""], { stdin: "x" })).code, 2);
    assert.equal(await store.ok(["data", "ls", "base", "-q"]), "");
  });

  it("shows a terminal text only", async () => {
    using store = await withBase();
    const terminals = ["stdout"] as const;
    await store.ok(["data", "set", "base", "text"], { stdin: "tab\tand\nline" });
    assert.equal((await store.run(["data", "get", "base", "text"], { terminals })).stdout, "tab\tand\nline");
    for (const stdin of [new Uint8Array([0xff]), "\u001b[2J", "x".repeat(2 ** 20 + 1)]) {
      await store.ok(["data", "set", "base", "text"], { stdin });
      const { code, stdout, stderr } = await store.run(["data", "get", "base", "text"], { terminals });
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, /to a terminal: .*\nhint: Add -f/);
    }
  });

  it("fails on damaged bytes, and leaves no file of them", async () => {
    using store = await withBase();
    await store.ok(["data", "set", "base", "k"], { stdin: "sound" });
    const path = join(store.path("root/image/vfs/strata/catalog/data/1-base"), digestHex(digestOf("sound")));
    writeFileSync(path, "other");
    assert.equal((await store.run(["data", "get", "base", "k"])).code, 5);
    assert.equal((await store.run(["data", "get", "base", "k", "-f", store.path("out")])).code, 5);
    assert.ok(!existsSync(store.path("out")));
  });
});

describe("strata register and commit with what belongs to a record", () => {
  it("make the record with it", async () => {
    using store = new CliStore();
    const path = store.file("item", new TextEncoder().encode("bytes"));
    const options = [
      "--metadata",
      "text",
      "--flag",
      "on",
      "--flag",
      "n=3",
      "--data",
      `k=${path}`,
      "--mount-label",
      "l",
    ];
    const maps = process.geteuid?.() === 0 ? ["--uid-map", "0:1000:10", "--gid-map", "0:1000:10"] : [];
    await store.ok(["register", "--id", "one", ...options, ...maps], { stdin: BASE });
    const [{ records: [one] }] = JSON.parse(await store.ok(["inspect", "one"]));
    assert.deepEqual([one.metadata, one.flags, one.mountLabel], ["text", { on: true, n: 3 }, "l"]);
    assert.deepEqual(one.bigData, [{ key: "k", digest: digestOf("bytes"), size: 5 }]);
    if (maps.length > 0) assert.deepEqual(one.uidMap, [{ containerId: 0, hostId: 1000, size: 10 }]);
    assert.equal(await store.ok(["layers", "-q"]), "one", "what a record is shown by is no layer of its own");
    await store.ok(["create", "work"]);
    await store.ok(["apply", "work"], { stdin: BASE });
    const done = JSON.parse(await store.ok(["commit", "work", "--id", "two", ...options, "--json"]));
    assert.deepEqual([done.id, done.metadata, done.flags], ["two", "text", { on: true, n: 3 }]);
    assert.equal(done.bigData.length, 1);
  });

  it("leave nothing when any of it cannot be", async () => {
    using store = new CliStore();
    const file = store.file("item", new TextEncoder().encode("bytes"));
    const wrong: readonly [options: readonly string[], code: number][] = [
      [["--data", "k=/no/such/file"], 3],
      [["--data", `=${file}`], 2],
      [["--data", "k=-"], 2],
      [["--data", `${"k".repeat(5000)}=${file}`], 2],
      [["--flag", "k=word"], 2],
      [["--flag", "=1"], 2],
      [["--metadata", "x".repeat(5 * 1024 * 1024)], 5],
      [["--uid-map", "0:1"], 2],
    ];
    for (const [options, code] of wrong) {
      const result = await store.run(["register", ...options], { stdin: BASE });
      assert.equal(result.code, code, `${options.join(" ").slice(0, 80)}: ${result.stderr.slice(0, 500)}`);
    }
    const { counts } = JSON.parse(await store.ok(["info", "--json"]));
    assert.deepEqual([counts.layers, counts.records], [0, 0]);
  });
});

describe("strata owners", () => {
  it("prints two lists of those whom the maps do not hold", async () => {
    using store = await withBase();
    assert.equal(await store.ok(["owners", "base"]), "uids:\ngids:");
    assert.equal((await store.run(["owners", "nobody"])).code, 3);
    if (process.geteuid?.() !== 0) return;
    await store.ok(["create", "work", "--parent", "base", "--uid-map", "0:1000:10", "--gid-map", "0:2000:10"]);
    const unmounted = await store.run(["owners", "work"]);
    assert.equal(unmounted.code, 3);
    assert.match(unmounted.stderr, /not mounted/);
    await store.ok(["mount", "work"]);
    try {
      assert.equal(await store.ok(["owners", "work"]), "uids: 0\ngids: 0");
      assert.deepEqual(JSON.parse(await store.ok(["owners", "work", "--json"])), {
        schema: 1,
        id: "work",
        uids: [0],
        gids: [0],
      });
    } finally {
      await store.ok(["unmount", "work"]);
    }
  });
});

describe("strata gc and fsck", () => {
  it("remove what is left of records, and tell of damaged data items", async () => {
    using store = await withBase();
    const catalog = store.path("root/image/vfs/strata/catalog");
    await store.ok(["create", "work", "--parent", "base"]);
    await store.ok(["data", "set", "work", "k"], { stdin: "bytes" });
    rmSync(join(catalog, "records/work.json"));
    const plan = await store.ok(["gc", "--dry-run", "--min-age", "0"]);
    assert.deepEqual(plan.split("\n").map((line) => line.split(" (")[0]), ["writable layer work", "data items work"]);
    assert.equal(await store.ok(["gc"]), "");
    assert.equal(await store.ok(["gc", "--min-age", "0"]), plan);
    assert.equal(await store.ok(["layers", "-q"]), "1-base");
    await store.ok(["data", "set", "base", "k"], { stdin: "bytes" });
    writeFileSync(join(catalog, "data/1-base", digestHex(digestOf("bytes"))), "other");
    assert.equal(await store.ok(["fsck"]), "clean");
    const { code, stdout } = await store.run(["fsck", "--full"]);
    assert.equal(code, 1);
    assert.match(stdout, /^damage data-item-damaged 1-base .* set it again, with "strata data set 1-base k -f FILE"$/m);
    await store.run(["fsck", "--full", "--repair", "--force"]);
    assert.equal(await store.ok(["data", "ls", "base", "-q"]), "");
  });
});

describe("a layer without a record", () => {
  it("has no names, text, flags or data items, and the message says why", async () => {
    using store = await withBase();
    await store.ok(["create", "work", "--parent", "base"]);
    await store.ok(["rm", "base", "--force"]);
    for (const words of [["metadata"], ["data", "ls"], ["owners"]]) {
      const { code, stderr } = await store.run([...words, CHAIN_BASE]);
      assert.equal(code, 3);
      assert.match(stderr, /it has no record/);
    }
  });
});

async function withBase(): Promise<CliStore> {
  const store = new CliStore();
  await store.ok(["register", "--id", "1-base", "--name", "base"], { stdin: BASE });
  return store;
}
