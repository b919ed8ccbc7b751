// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EMPTY_LAYER, logReleaseMetadata, releaseAndLog } from "../../mod.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { ScratchRoot, streamOf } from "../support/scratch_store.ts";

describe("releaseAndLog()", () => {
  it("logs a line for each layer that went, top to base, in Docker's words", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const base = await store.register(streamOf(layerTar([file("a", "a")])));
    const top = await store.register(streamOf(layerTar([file("b", "b")])), { parent: base.chainId });
    const lines: string[] = [];
    const log = (line: string): void => void lines.push(line);
    await releaseAndLog(store, base, { log });
    await releaseAndLog(store, EMPTY_LAYER, { log });
    assert.deepEqual(lines, []);
    await releaseAndLog(store, top, { log });
    assert.deepEqual(lines, [`Layer ${top.chainId} cleaned up`, `Layer ${base.chainId} cleaned up`]);
  });

  it("logs a failure, and goes on", async () => {
    const lines: string[] = [];
    const store = { release: () => Promise.reject(new Error("the disk is on fire")) };
    await releaseAndLog(store, EMPTY_LAYER, { log: (line) => lines.push(line) });
    assert.deepEqual(lines, [`Error releasing layer ${EMPTY_LAYER.chainId}: the disk is on fire`]);
  });

  it("logs nothing for nothing", () => {
    logReleaseMetadata([], { log: () => assert.fail("a line") });
  });
});
