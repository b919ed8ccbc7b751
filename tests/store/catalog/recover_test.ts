// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { LayerStore, type RecoveryStep } from "../../../mod.ts";
import { parseRecordId } from "../../../src/core/ids.ts";
import { recordClaim } from "../../../src/metadata/claims.ts";
import { file, layerTar } from "../../../src/testing/layer_builder.ts";
import { ScratchRoot, streamOf } from "../../support/scratch_store.ts";

const TAR = layerTar([file("file", "content\n")]);

describe("Catalog.recover()", () => {
  it("finishes what a crash cut short, and says each step", async () => {
    using scratch = new ScratchRoot();
    await using store = await scratch.open({ driver: "vfs" });
    const { catalog } = store;
    await catalog.put({ id: "base", diff: streamOf(TAR), bigData: new Map([["key", new Uint8Array(1)]]) });
    for (const id of ["gone", "kept", "busy", "torn"]) await catalog.create({ id, parent: "base", access: "writable" });
    // As a crash leaves it: the record has gone, or never came, and what is its own is there.
    for (const id of ["gone", "busy"]) rmSync(recordOf(scratch, id));
    writeFileSync(recordOf(scratch, "torn"), "{");
    mkdirSync(join(scratch.root, "image/vfs/strata/catalog/data/nobody"));
    writeFileSync(join(scratch.root, "image/vfs/strata/catalog/data/nobody/file"), "left");
    writeFileSync(join(scratch.root, "image/vfs/strata/catalog/data/base/file"), "left");
    const { claims } = LayerStore.contextOf(store);
    using _busy = claims.tryTake(recordClaim(parseRecordId("busy")));

    await using other = await scratch.open({ driver: "vfs" });
    assert.equal(other.rwLayers().mounts.size, 4, "opening repairs nothing");
    const told: RecoveryStep[] = [];
    const steps = await other.catalog.recover({ onStep: (step) => told.push(step) });
    assert.deepEqual(steps, told);
    assert.deepEqual(steps.map(({ kind, record, error }) => [kind, record, error]).sort(), [
      ["data items", "base", undefined],
      ["data items", "nobody", undefined],
      ["writable layer", "gone", undefined],
    ]);
    const left = [...store.rwLayers().mounts.values()].map(({ record }) => String(record));
    assert.deepEqual(left.sort(), ["busy", "kept", "torn"], "who is at work, and a damaged record, keep theirs");
    assert.equal(readdirSync(join(scratch.root, "image/vfs/strata/catalog/data/base")).length, 1);
    assert.deepEqual(await other.catalog.recover(), []);
  });
});

function recordOf(scratch: ScratchRoot, id: string): string {
  return join(scratch.root, `image/vfs/strata/catalog/records/${id}.json`);
}
