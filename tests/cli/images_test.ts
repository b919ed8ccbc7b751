// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { fromText } from "../../src/core/bytes.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { archiveOf, type BuiltImage, dockerFiles, layerOf, writeFiles } from "../support/image_builder.ts";
import { CliStore } from "../support/run_cli.ts";

const IMAGE: BuiltImage = { layers: [layerOf("a", "alpha"), layerOf("b", "beta")] };

describe("strata load", () => {
  it("prints the names of images from an archive, a directory, and standard input", async () => {
    const files = dockerFiles([[["demo:latest"], IMAGE]]);
    using store = new CliStore();
    const path = store.file("demo.tar", archiveOf(files));
    const { code, stdout, stderr } = await store.run(["load", path, "--quiet"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /demo:latest\n$/);
    assert.match(await store.ok(["load", "-"], { stdin: archiveOf(files) }), /demo:latest$/);
    writeFiles(store.path("saved"), files);
    assert.match(await store.ok(["load", store.path("saved"), "--name", "other:1"]), /other:1$/);
  });

  it("prints what came of each layer as JSON, and shows progress", async () => {
    using store = new CliStore();
    const path = store.file("demo.tar", archiveOf(dockerFiles([[["demo:latest"], IMAGE]])));
    const states = async () => {
      const { schema, images } = JSON.parse(await store.ok(["load", path, "--json"]));
      assert.equal(schema, 1);
      return images[0].layers.map(({ state }: { state: string }) => state);
    };
    assert.deepEqual(await states(), ["new", "new"]);
    assert.deepEqual(await states(), ["known", "known"]);
    assert.match((await store.run(["load", path, "--progress", "plain"])).stderr, /^load: /m);
  });

  it("warns of what could not be set, as a line and as a number", async () => {
    using store = new CliStore();
    const xattrs = new Map([[fromText("nowhere.x"), new Uint8Array([1])]]);
    const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const odd: BuiltImage = {
      layers: [{ tar: layerTar(["a", "b"].map((name) => file(name, "", { xattrs, ...own }))) }],
    };
    const path = store.file("demo.tar", archiveOf(dockerFiles([[["demo:latest"], odd]])));
    const { code, stdout, stderr } = await store.run(["load", path, "--json"]);
    assert.equal(code, 0, stderr);
    assert.equal(JSON.parse(stdout).images[0].droppedAttributes, 2);
    assert.match(
      JSON.parse(stderr).notice.message,
      /^2 attributes could not .*first: xattr nowhere\.x of "a".*hold them/,
    );
    const again = await store.run(["load", path, "--json"]);
    assert.deepEqual([JSON.parse(again.stdout).images[0].droppedAttributes, again.stderr], [0, ""]);
  });

  it("tells what is missing from what is wrong", async () => {
    using store = new CliStore();
    assert.equal((await store.run(["load", "/no/such/file"])).code, 3);
    assert.equal((await store.run(["load", "-"], { terminals: ["stdin"] })).code, 2);
    assert.equal((await store.run(["load", "-"], { stdin: "rubbish ".repeat(200) })).code, 5);
    const path = store.file("demo.tar", archiveOf(dockerFiles([[["demo:latest"], IMAGE]])));
    const { code } = await store.run(["load", path], { env: { DOCKER_DEFAULT_PLATFORM: "nonsense" } });
    assert.equal(code, 2);
  });
});

describe("strata images", () => {
  it("lists images as a table, as ids, and as JSON", async () => {
    using store = new CliStore();
    assert.deepEqual(JSON.parse(await store.ok(["images", "--json"])), { schema: 1, images: [] });
    await store.ok(["load", "-"], { stdin: archiveOf(dockerFiles([[["demo:latest"], IMAGE]])) });
    const [{ id, names, layerCount, size }] = JSON.parse(await store.ok(["images", "--json"])).images;
    assert.deepEqual([layerCount, size], [2, 9]);
    assert.equal(await store.ok(["images", "-q"]), id);
    const [heading = "", row = ""] = (await store.ok(["images"])).split("\n");
    assert.match(heading, /^NAMES +ID +PLATFORM +LAYERS +SIZE +CREATED$/);
    assert.ok(row.startsWith(names[0]));
  });
});
