// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { dir, file, layerTar } from "../../../src/testing/layer_builder.ts";
import { diffIdOf, tarSplitOf } from "../../support/archive_differ.ts";
import { bytesOf, ScratchRoot, streamOf } from "../../support/scratch_store.ts";
import { pull } from "./example_differ.ts";

describe("the example of docs/differs.md", () => {
  it("pulls a layer file by file", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const contents: Record<string, string> = { one: "1", two: "22" };
    const files = Object.keys(contents);
    const base = await store.register(streamOf(layerTar([dir("etc")])));
    const tar = layerTar(files.map((name) => file(name, contents[name], { mode: 0o640 })));
    const layer = await pull(store, {
      diffId: diffIdOf(tar),
      tarSplit: () => streamOf(tarSplitOf(tar)),
      files,
      fetch: (name) => Promise.resolve(new TextEncoder().encode(contents[name])),
    }, base);
    assert.deepEqual(await bytesOf(layer.tarStream()), tar);
    assert.equal(layer.parentChainId, base.chainId);
    assert.deepEqual(scratch.leftovers(), []);
  });

  it("is as the document shows it", (t) => {
    const document = new URL("../../../docs/differs.md", import.meta.url);
    if (!existsSync(document)) return t.skip("the package has no documents");
    const source = readFileSync(new URL("./example_differ.ts", import.meta.url), "utf8");
    const shown = source.slice(source.indexOf("import ")).replace('"../../../mod.ts"', '"@strata/layers"');
    assert.ok(
      readFileSync(document, "utf8").includes(`\n\`\`\`ts\n${shown}\`\`\`\n`),
      "docs/differs.md is out of date",
    );
  });
});
