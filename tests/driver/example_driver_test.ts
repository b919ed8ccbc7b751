// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { registerDriver } from "../../mod.ts";
import { file, layerTar, whiteout } from "../../src/testing/layer_builder.ts";
import { runSuite } from "../conformance/scratch_driver.ts";
import { bytesOf, ScratchRoot, streamOf } from "../support/scratch_store.ts";
import factory from "./example_driver.ts";

const MODULE = new URL(
  import.meta.url.endsWith(".ts") ? "./example_driver.ts" : "./example_driver.js",
  import.meta.url,
);

registerDriver("plain", factory, { module: MODULE });
runSuite(
  { name: "the example of docs/writing-a-driver.md", driver: "plain", open: factory.open, runtimes: "deno" },
  undefined,
);

describe("a store with the driver of docs/writing-a-driver.md", () => {
  it("registers, mounts, commits and exports", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "plain" });
    const below = layerTar([file("a", "1"), file("b", "1")]);
    const above = layerTar([whiteout("a"), file("c", "3")]);
    const base = await store.register(streamOf(below));
    const top = await store.register(streamOf(above), { parent: base.chainId });
    await store.createRWLayer("box", { parent: top.chainId });
    const path = await store.mount("box");
    assert.deepEqual(["a", "b", "c"].map((name) => existsSync(join(path, name))), [false, true, true]);
    writeFileSync(join(path, "b"), "2");
    assert.deepEqual(await store.changes("box"), [{ path: "b", kind: "modify" }]);
    await store.unmount("box");
    const committed = await store.commit("box");
    assert.deepEqual(await bytesOf(store.export(base.chainId)), below);
    assert.deepEqual(await bytesOf(store.export(top.chainId)), above);
    assert.equal((await store.verify(committed.chainId)).state, "ok");
    await store.releaseRWLayer("box");
  });

  it("is as the document shows it", (t) => {
    const document = new URL("../../docs/writing-a-driver.md", import.meta.url);
    if (!existsSync(document)) return t.skip("the package has no documents");
    const source = readFileSync(new URL("./example_driver.ts", import.meta.url), "utf8");
    const shown = source.slice(source.indexOf("import ")).replace('"../../mod.ts"', '"@strata/layers"');
    assert.ok(
      readFileSync(document, "utf8").includes(`\n\`\`\`ts\n${shown}\`\`\`\n`),
      "docs/writing-a-driver.md is out of date",
    );
  });
});
