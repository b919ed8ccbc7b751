// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createChainId, hasCode, LayerStore, parseDiffId } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { layerClaim } from "../../src/metadata/claims.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { gatedStream } from "../support/gated_stream.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const TAR = layerTar([file("f", "content")]);
const DIGEST = digestOf(TAR);
/** Two that begin alike, for longer than beginnings are compared. */
const COMMON = file("a", "x".repeat(200_000));
const LARGE = layerTar([COMMON, file("f", "one")]);
const LARGE_TOO = layerTar([COMMON, file("f", "two")]);
const EXPECTATIONS = {
  "its DiffID": { expectedDiffId: parseDiffId(DIGEST) },
  "its blob": { expectedBlob: { digest: DIGEST } },
};

for (const driver of DRIVERS) {
  describe(`a layer that several make at once, on ${driver}`, () => {
    for (const [what, expected] of Object.entries(EXPECTATIONS)) {
      it(`is unpacked once when ${what} is expected; the second waits`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        await using other = await scratch.open({ driver });
        const gate = gatedStream(TAR);
        const events: string[] = [];
        const onProgress = ({ kind }: { kind: string }) => void (kind === "unpacked" && events.push(kind));
        const first = store.register(gate.stream, { ...expected, onProgress });
        await gate.reached;
        const second = other.register(streamOf(TAR), { ...expected, onProgress });
        await pause(150);
        assert.deepEqual(events, []);
        gate.open();
        const [one, two] = await Promise.all([first, second]);
        assert.equal(one.chainId, two.chainId);
        assert.deepEqual(events, ["unpacked"]);
        assert.deepEqual(claimsIn(scratch), []);
      });

      it(`is made by the second when the first fails, ${what} being expected`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        const gate = gatedStream(TAR);
        const stop = new AbortController();
        const first = store.register(gate.stream, { ...expected, signal: stop.signal });
        const refused = assert.rejects(first, (error) => hasCode(error, "ABORTED"));
        await gate.reached;
        const second = store.register(streamOf(TAR), expected);
        stop.abort();
        await refused;
        assert.deepEqual(await bytesOf(store.export((await second).chainId)), TAR);
        assert.deepEqual(claimsIn(scratch), []);
      });

      it(`is still compared with ${what} when it is here already`, async () => {
        using scratch = new ScratchRoot();
        await using store = await scratch.open({ driver });
        await store.register(streamOf(TAR));
        const wrong = layerTar([file("f", "other")]);
        await assert.rejects(store.register(streamOf(wrong), expected), (error) => hasCode(error, "DIGEST_MISMATCH"));
        await store.register(streamOf(TAR), expected);
        assert.deepEqual(scratch.leftovers(), []);
      });
    }

    it("is unpacked once when nothing is expected, and the streams begin alike", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const { gate, second, unpacked } = twins(store, other, [LARGE, LARGE]);
      await pause(150);
      assert.deepEqual(unpacked, []);
      gate.open();
      const [one, two] = await second;
      assert.equal(one.chainId, two.chainId);
      assert.deepEqual(unpacked, ["first"]);
      assert.deepEqual([claimsIn(scratch), scratch.leftovers()], [[], []]);
    });

    it("is made nevertheless when the other stream began alike, and was another", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const { gate, second, unpacked } = twins(store, other, [LARGE, LARGE_TOO]);
      await pause(150);
      gate.open();
      const [one, two] = await second;
      assert.deepEqual(await bytesOf(store.export(one.chainId)), LARGE);
      assert.deepEqual(await bytesOf(store.export(two.chainId)), LARGE_TOO);
      assert.deepEqual(unpacked, ["first", "second"]);
      assert.deepEqual([claimsIn(scratch), scratch.leftovers()], [[], []]);
    });

    it("is not waited for when its source has been silent for long", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const { gate, second, unpacked } = twins(store, other, [LARGE, LARGE]);
      await pause(150);
      const [claim = ""] = claimsIn(scratch);
      utimesSync(join(scratch.root, "strata/claims", claim), 1, 1);
      while (unpacked.length === 0) await pause(20);
      assert.deepEqual(unpacked, ["second"]);
      gate.open();
      const [one, two] = await second;
      assert.equal(one.chainId, two.chainId);
      assert.deepEqual([claimsIn(scratch), scratch.leftovers()], [[], []]);
    });

    it("can be given up while it is waited for", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const expected = EXPECTATIONS["its DiffID"];
      using claim = LayerStore.contextOf(store).claims.tryTake(layerClaim(createChainId([expected.expectedDiffId])!));
      assert(claim !== undefined);
      const stop = new AbortController();
      const waiting = store.register(streamOf(TAR), { ...expected, signal: stop.signal });
      setTimeout(() => stop.abort(), 50);
      await assert.rejects(waiting, (error) => hasCode(error, "ABORTED"));
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("is taken from whoever was first when nothing is expected", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      await using other = await scratch.open({ driver });
      const both = await Promise.all([store.register(streamOf(TAR)), other.register(streamOf(TAR))]);
      assert.equal(new Set(both.map(({ chainId }) => chainId)).size, 1);
      assert.deepEqual([store.layers().layers.size, scratch.layerDirs(driver).length, scratch.leftovers()], [1, 1, []]);
    });
  });

  describe(`a damaged layer on ${driver}`, () => {
    it("is left alone where records are trusted", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const { chainId } = await store.register(streamOf(TAR));
      const { driver: keeper, layerDb } = LayerStore.contextOf(store);
      await keeper.remove(layerDb.read(chainId).cacheId);
      await store.register(streamOf(TAR), { existing: "trust" });
      assert.equal((await store.verify(chainId)).state, "bad");
      await store.register(streamOf(TAR));
      assert.equal((await store.verify(chainId)).state, "ok");
    });
  });
}

/** Registers two streams, the first of which stops in its middle until the gate is opened. */
function twins(store: LayerStore, other: LayerStore, [one, two]: readonly [Uint8Array, Uint8Array]) {
  const unpacked: string[] = [];
  const noting = (name: string) => ({
    onProgress: ({ kind }: { kind: string }) => void (kind === "unpacked" && unpacked.push(name)),
  });
  const gate = gatedStream(one);
  const first = store.register(gate.stream, noting("first"));
  const second = gate.reached.then(() => Promise.all([first, other.register(streamOf(two), noting("second"))]));
  return { gate, second, unpacked };
}

function claimsIn(scratch: ScratchRoot): string[] {
  const dir = join(scratch.root, "strata/claims");
  return existsSync(dir) ? readdirSync(dir) : [];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
