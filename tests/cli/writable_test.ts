// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fromBytes } from "../../src/core/bytes.ts";
import { digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar, renamed } from "../../src/testing/layer_builder.ts";
import { CliStore } from "../support/run_cli.ts";
import { DRIVERS } from "../support/scratch_store.ts";

const BASE = layerTar([dir("d"), file("d/a", "alpha")]);
const CHAIN_BASE = digestOf(BASE);

describe("strata create", () => {
  it("prints the name, or what is known as JSON", async () => {
    using store = await withBase();
    assert.equal(await store.ok(["create", "work", "--parent", "base"]), "work");
    const document = JSON.parse(await store.ok(["create", "alone", "--json", "--mount-label", "x"]));
    assert.deepEqual([document.schema, document.name, document.parent], [1, "alone", null]);
  });

  it("refuses a name that is taken or cannot be one, and a parent that is not there", async () => {
    using store = await withBase();
    await store.ok(["create", "work"]);
    assert.equal((await store.run(["create", "work"])).code, 4);
    assert.equal((await store.run(["create", "no/name"])).code, 2);
    assert.equal((await store.run(["create", "x", "--parent", "nobody"])).code, 3);
    assert.equal((await store.run(["create", "x", "--parent", "work"])).code, 2);
    assert.equal((await store.run(["create", "x", "--storage-opt", "novalue"])).code, 2);
  });

  it("makes a record, by which the layer has text, names, flags, and goes", async () => {
    using store = await withBase();
    await store.ok(["create", "work", "--parent", "base", "--mount-label", "label"]);
    await store.ok(["name", "add", "work", "alias"]);
    await store.ok(["metadata", "alias", "mine"]);
    await store.ok(["flag", "set", "work", "seen"]);
    const [{ kind, mountLabel, records: [record] }] = JSON.parse(await store.ok(["inspect", "alias"]));
    assert.deepEqual([kind, mountLabel, record.id, record.names], ["writable", "label", "work", ["alias"]]);
    assert.deepEqual([record.metadata, record.flags, record.mountCount], ["mine", { seen: true }, 0]);
    assert.equal(record.mountLabel, "label");
    const [{ records: [base] }] = JSON.parse(await store.ok(["inspect", "base"]));
    assert.equal(record.parent, base.id);
    assert.equal((await store.ok(["layers", "-q"])).split("\n")[1], "work");
    await store.ok(["rm", "alias"]);
    assert.equal((await store.run(["exists", "work"])).code, 1);
    assert.equal((await store.ok(["layers", "-q"])).split("\n").length, 1);
  });

  it("takes no name of a layer, and one that is longer than an id", async () => {
    using store = await withBase();
    assert.equal((await store.run(["create", "base"])).code, 4);
    const long = "n".repeat(200);
    assert.equal(await store.ok(["create", long]), long);
    assert.equal((await store.run(["create", long])).code, 4);
    assert.equal((await store.run(["exists", long])).code, 0);
    await store.ok(["rm", long]);
    assert.equal((await store.ok(["layers", "-q"])).split("\n").length, 1);
  });

  it("keeps its name for itself: no other layer would be found by it", async () => {
    using store = await withBase();
    await store.ok(["create", "work", "--parent", "base"]);
    for (
      const words of [["commit", "work", "--name", "work"], ["name", "add", "base", "work"], [
        "register",
        "--name",
        "work",
      ]]
    ) {
      const { code, stderr } = await store.run(words, { stdin: BASE });
      assert.equal(code, 4, words.join(" "));
      assert.match(stderr, /"work": it is the id of a record/);
    }
    assert.equal((await store.run(["register", "--id", "base"], { stdin: BASE })).code, 4);
  });

  it("is found by its whole name only", async () => {
    using store = await withBase();
    await store.ok(["create", "work2"]);
    assert.equal((await store.run(["exists", "work"])).code, 1);
    for (const words of [["rm", "work"], ["metadata", "work", "x"], ["commit", "wor"]]) {
      assert.equal((await store.run(words)).code, 3, words.join(" "));
    }
    assert.equal((await store.run(["exists", "work2"])).code, 0);
  });

  it("begins with a copy of a template, which lies on the same parent", async () => {
    using store = await withBase();
    await store.ok(["create", "work", "--parent", "base"]);
    await store.ok(["apply", "work"], { stdin: layerTar([file("new", "12345")]) });
    await store.ok(["create", "copy", "--template", "work"]);
    assert.deepEqual(await store.ok(["changes", "copy"]), await store.ok(["changes", "work"]));
    assert.equal(await store.ok(["diffsize", "copy"]), "5");
    await store.ok(["apply", "copy"], { stdin: layerTar([file("more", "x")]) });
    assert.equal(await store.ok(["diffsize", "work"]), "5");
    await store.ok(["register", "--name", "other"], { stdin: layerTar([file("o")]) });
    assert.equal((await store.run(["create", "x", "--template", "work", "--parent", "other"])).code, 2);
    assert.equal((await store.run(["create", "x", "--template", "nobody"])).code, 3);
    await store.ok(["mount", "work"]);
    const mounted = await store.run(["create", "x", "--template", "work"]);
    await store.ok(["unmount", "work"]);
    assert.equal(mounted.code, 4);
  });
});

for (const driver of DRIVERS) {
  const skip = process.geteuid?.() === 0 ? false : "only root may give files away";

  describe(`strata create with id maps (${driver})`, { skip }, () => {
    it("makes a layer for other ids, whose changes are the container's", async () => {
      using store = await withBase(driver);
      const maps = ["--uid-map", "0:1000:10", "--uid-map", "10:5000:10", "--gid-map", "0:2000:10"];
      await store.ok(["create", "work", "--parent", "base", ...maps]);
      const path = await store.ok(["mount", "work"]);
      try {
        const { uid, gid } = statSync(join(path, "d/a"));
        assert.deepEqual([uid, gid], [1000, 2000]);
      } finally {
        await store.ok(["unmount", path]);
      }
      assert.equal(await store.ok(["changes", "work"]), "");
      for (const wrong of ["0:1000", "0:1000:0", "0:1000:5:3:2000:5"]) {
        assert.equal((await store.run(["create", "x", "--uid-map", wrong])).code, 2, wrong);
      }
    });
  });

  describe(`strata mount (${driver})`, () => {
    it("prints the path alone, counts, and unmounts with the last", async () => {
      using store = await withBase(driver);
      await store.ok(["create", "work", "--parent", "base"]);
      const path = await store.ok(["mount", "work"]);
      try {
        assert.equal(readFileSync(join(path, "d/a"), "utf8"), "alpha");
        assert.equal(JSON.parse(await store.ok(["mount", "work", "--json"])).path, path);
        const { mounts } = JSON.parse(await store.ok(["mounts", "--json"]));
        assert.deepEqual(mounts, [{ path, kind: "writable", name: "work", record: "work", count: 2 }]);
        assert.equal(await store.ok(["mounts", "-q"]), path);
        assert.match(await store.ok(["mounts"]), /^PATH +NAME +COUNT\n\S+ +work +2$/);
        assert.equal(await store.ok(["unmount", path]), "mounted 1");
        const [{ records: [{ mountPoint, mountCount }] }] = JSON.parse(await store.ok(["inspect", "work"]));
        assert.deepEqual([mountPoint, mountCount], [path, 1]);
        const busy = await store.run(["rm", "work"]);
        assert.equal(busy.code, 4);
        assert.match(busy.stderr, /hint: Used by 1 mount/);
      } finally {
        assert.equal(await store.ok(["umount", "work", "--force"]), "");
      }
      assert.equal(await store.ok(["mounts", "-q"]), "");
      assert.equal((await store.run(["unmount", "work"])).code, 3);
      assert.equal((await store.run(["mount", "nobody"])).code, 3);
    });

    it("mounts a layer for reading, and force removes what is mounted", async () => {
      using store = await withBase(driver);
      const path = await store.ok(["mount", "base"]);
      try {
        assert.equal(readFileSync(join(path, "d/a"), "utf8"), "alpha");
        const { mounts } = JSON.parse(await store.ok(["mounts", "--json"]));
        assert.deepEqual(mounts, [{ path, kind: "layer", name: CHAIN_BASE, record: null, count: 1 }]);
        assert.equal((await store.run(["rm", "base"])).code, 4);
      } finally {
        assert.deepEqual(JSON.parse(await store.ok(["unmount", "base", "--json"])), { schema: 1, mounted: 0 });
      }
      await store.ok(["create", "work", "--parent", "base"]);
      await store.ok(["mount", "work"]);
      await store.ok(["rm", "work", "--force"]);
      assert.equal(await store.ok(["mounts", "-q"]), "");
    });
  });

  it(`strata mount (${driver}) gives nobody who writes a mount for reading, and counts no refusal`, async () => {
    using store = await withBase(driver);
    await store.ok(["create", "work", "--parent", "base"]);
    await store.ok(["mount", "work", "--read-only"]);
    try {
      const { code, stderr } = await store.run(["mount", "work"]);
      if (driver === "vfs") return assert.equal(code, 0);
      assert.equal(code, 4);
      assert.match(stderr, /it is mounted for reading, or is being compared; unmount it, or wait/);
      assert.equal(JSON.parse(await store.ok(["mounts", "--json"])).mounts[0].count, 1);
      await store.ok(["mount", "work", "--read-only"]);
    } finally {
      await store.ok(["unmount", "work", "--force"]);
    }
    writeFileSync(join(await store.ok(["mount", "work"]), "new"), "1");
    await store.ok(["unmount", "work"]);
  });

  describe(`strata changes, diff, diffsize, apply and commit (${driver})`, () => {
    it("tell, pack, measure, repeat and register what was done", async () => {
      using store = await withBase(driver);
      await store.ok(["create", "work", "--parent", "base"]);
      const path = await store.ok(["mount", "work"]);
      writeFileSync(join(path, "new"), "12345");
      await store.ok(["unmount", "work"]);

      const changed = (await store.ok(["changes", "work"])).split("\n").filter((line) => line !== "C /");
      assert.deepEqual(changed, ["A /new"]);
      assert.equal(await store.ok(["diffsize", "work"]), "5");
      assert.deepEqual(JSON.parse(await store.ok(["diffsize", "work", "--json"])), { schema: 1, diffSize: 5 });

      const packed = (await store.run(["diff", "work"])).stdoutBytes;
      await store.ok(["diff", "work", "-o", store.path("change.tar")]);
      assert.deepEqual(new Uint8Array(readFileSync(store.path("change.tar"))), packed);

      await store.ok(["create", "copy", "--parent", "base"]);
      assert.equal(await store.ok(["apply", "copy", store.path("change.tar")]), "5");
      assert.equal(
        (await store.run(["apply", "copy", "--json"], { stdin: packed })).stdout.includes('"size": 5'),
        true,
      );
      assert.ok((await store.ok(["changes", "copy"])).split("\n").includes("A /new"));

      const chainId = digestOf(`${CHAIN_BASE} ${digestOf(packed)}`);
      assert.equal(await store.ok(["commit", "work", "--name", "done", "--id", "done-1"]), chainId);
      const [{ records }] = JSON.parse(await store.ok(["inspect", "done"]));
      assert.deepEqual([records[0].id, records[0].names], ["done-1", ["done"]]);
      assert.deepEqual((await store.run(["export", "done"])).stdoutBytes, packed);
      assert.equal((await store.run(["commit", "work", "--name", "done"])).code, 4);
    });
  });
}

describe("strata changes", () => {
  it("prints names as bytes, and control characters so that lines stay lines", async () => {
    using store = new CliStore();
    const odd = renamed(file("x"), fromBytes(new Uint8Array([0xff, 0x0a, 0x41])));
    await store.ok(["register", "--name", "odd"], { stdin: layerTar([odd, file("ü\u009b")]) });
    const { stdoutBytes } = await store.run(["changes", "odd"]);
    const latin = Array.from(stdoutBytes, (byte) => String.fromCharCode(byte)).join("");
    assert.deepEqual(latin.split("\n").filter((line) => line !== "C /"), [
      "A /\xc3\xbc\\xc2\\x9b",
      "A /\xff\\x0aA",
      "",
    ]);
    const { changes } = JSON.parse(await store.ok(["changes", "odd", "--json"]));
    assert.deepEqual(changes.filter(({ path }: { path: string }) => path !== "/"), [
      { kind: "add", path: "/ü\u009b" },
      { kind: "add", path: "/\\xff\\x0aA", pathBase64: "L/8KQQ==" },
    ]);
  });

  it("tells what no archive can hold", async () => {
    using store = await withBase("vfs");
    await store.ok(["create", "work", "--parent", "base"]);
    const path = await store.ok(["mount", "work"]);
    writeFileSync(join(path, ".wh.d"), "a name that means a deletion");
    writeFileSync(join(path, "kept"), "1");
    await store.ok(["unmount", "work"]);
    const expected = /1 thing was left out \(first: name of ".wh.d": names that begin with .wh. mean deletions/;
    for (const words of [["diff", "work", "-o", join(store.dir, "diff.tar")], ["commit", "work"]]) {
      const { code, stderr } = await store.run(words);
      assert.equal(code, 0, stderr);
      assert.match(stderr, expected);
    }
    const { code, stderr } = await store.run(["diff", "base", "-o", join(store.dir, "base.tar")]);
    assert.deepEqual([code, stderr], [0, ""]);
  });

  it("compares with another layer", async () => {
    using store = await withBase();
    await store.ok(["register", "--name", "other"], { stdin: layerTar([file("only", "x")]) });
    const lines = (await store.ok(["changes", "other", "base"])).split("\n").filter((line) => line !== "C /");
    assert.deepEqual(lines, ["D /d", "A /only"]);
    assert.equal((await store.run(["changes", "other", "nobody"])).code, 3);
  });
});

describe("strata apply and commit", () => {
  it("refuse what is no writable layer, and an archive that is none", async () => {
    using store = await withBase();
    await store.ok(["create", "work", "--parent", "base"]);
    for (const verb of ["apply", "commit"]) assert.equal((await store.run([verb, "nobody"])).code, 3);
    assert.equal((await store.run(["apply", "base"], { stdin: BASE })).code, 4);
    assert.equal((await store.run(["commit", "base"])).code, 2);
    assert.equal((await store.run(["apply", "work", "/no/such/file"])).code, 3);
    assert.equal((await store.run(["apply", "work"], { stdin: "rubbish ".repeat(200) })).code, 5);
    assert.equal((await store.ok(["changes", "work"])).replace("C /", ""), "");
  });
});

describe("strata info", () => {
  it("prints lines for people and a document for programs", async () => {
    using store = await withBase();
    const text = await store.ok(["info"]);
    for (const line of [/^Driver: +vfs$/m, /^Layers: +1$/m, /^Records: +1$/m]) assert.match(text, line);
    const { schema, driver, counts, root } = JSON.parse(await store.ok(["info", "--json"]));
    assert.deepEqual([schema, driver, counts.layers], [1, "vfs", 1]);
    assert.ok(existsSync(root));
  });
});

async function withBase(driver = "vfs"): Promise<CliStore> {
  const store = new CliStore(driver);
  await store.ok(["register", "--name", "base"], { stdin: BASE });
  return store;
}
