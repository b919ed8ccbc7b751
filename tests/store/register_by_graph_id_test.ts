// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import {
  type CacheId,
  chainOn,
  type ErrorCode,
  hasCode,
  type Layer,
  type LayerChecksum,
  LayerStore,
  parseChainId,
  parseDiffId,
  type RegisterByGraphIdOptions,
} from "../../mod.ts";
import { randomCacheId } from "../../src/core/ids.ts";
import { dir, file, layerTar } from "../../src/testing/layer_builder.ts";
import { bytesOf, DRIVERS, ScratchRoot, streamOf } from "../support/scratch_store.ts";

const BASE = layerTar([dir("etc"), file("etc/motd", "hello\n"), file("etc/old", "old\n")]);
const WRONG = parseDiffId(`sha256:${"0".repeat(64)}`);

for (const driver of DRIVERS) {
  describe(`checksumForGraphId() and registerByGraphId() on ${driver}`, () => {
    it("make a layer out of a directory of the driver", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const place = await Place.make(scratch, store, "on a layer");
      const { sizeBytes, diffId } = await place.checksum();
      assert.equal(sizeBytes, "changed\nnew\n".length);
      assert.match(gunzipSync(readFileSync(place.tarSplitFile)).toString(), /"name":"etc\/new"/);
      assert.deepEqual(await place.checksum(), { sizeBytes, diffId }, "the same each time, and the file is replaced");

      const layer = await store.registerByGraphId(place.id, await place.options());
      assert.equal(layer.chainId, chainOn(place.base.chainId, diffId));
      assert.deepEqual([layer.parentChainId, layer.diffSizeBytes], [place.base.chainId, sizeBytes]);
      const record = join(scratch.root, `image/${driver}/layerdb/sha256`, layer.chainId.slice(7));
      assert.equal(readFileSync(join(record, "cache-id"), "utf8"), place.id);
      assert.deepEqual(readFileSync(join(record, "tar-split.json.gz")), readFileSync(place.tarSplitFile));
      assert.equal((await store.verify(layer.chainId)).state, "ok");
      assert.equal(layer.archiveBytes, (await bytesOf(layer.tarStream())).length);
      assert.deepEqual([layer.uids, layer.gids], [[process.getuid?.()], [process.getgid?.()]]);

      // The same tar comes in as the very same layer, and the layer is deleted as any other.
      const same = await store.register(layer.tarStream(), { parent: place.base.chainId });
      assert.equal(same.chainId, layer.chainId);
      await store.release(same);
      assert.equal((await store.release(layer)).length, 1);
      assert.equal(LayerStore.contextOf(store).driver.exists(place.id), false);
    });

    it("make a base layer out of a directory that lies on nothing", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const place = await Place.make(scratch, store, "on nothing");
      const layer = await store.registerByGraphId(place.id, await place.options());
      assert.equal(String(layer.chainId), layer.diffId);
      assert.equal((await store.verify(layer.chainId)).state, "ok");
    });

    it("give a handle of the layer that is here already, and leave the directory alone", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const place = await Place.make(scratch, store, "on nothing");
      const options = await place.options();
      const again = await store.registerByGraphId(place.id, { ...options, diffId: place.base.diffId });
      assert.equal(again.chainId, place.base.chainId);
      assert.notEqual(again, place.base);
      assert(LayerStore.contextOf(store).driver.exists(place.id));
      await store.registerByGraphId(place.id, options);
    });

    it("refuse what does not fit, and leave nothing behind but the directory", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const place = await Place.make(scratch, store, "on a layer");
      const right = await place.options();
      const unknown = parseChainId(WRONG);
      const refused = async (code: ErrorCode, id: string, options: RegisterByGraphIdOptions): Promise<void> => {
        await assert.rejects(store.registerByGraphId(id, options), (error) => {
          assert(hasCode(error, code), `expected ${code}, and got ${error}`);
          return true;
        });
      };
      await refused("DIGEST_MISMATCH", place.id, { ...right, diffId: WRONG });
      await refused("NOT_FOUND", place.id, { ...right, parent: unknown });
      await refused("NOT_FOUND", randomCacheId(), right);
      await refused("INVALID_ARGUMENT", "../etc", right);
      await refused("CORRUPT", cacheIdOf(store, place.base), right);
      await refused("ABORTED", place.id, { ...right, signal: AbortSignal.abort() });
      await assert.rejects(store.registerByGraphId(place.id, { ...right, tarSplitFile: join(scratch.dir, "absent") }));
      if (driver === "overlay2") {
        const { parent: _parent, ...alone } = right;
        await refused("INVALID_ARGUMENT", place.id, alone);
      }
      writeFileSync(join(place.tree, "etc/motd"), "CHANGED\n");
      await refused("CORRUPT", place.id, right);
      assert.deepEqual([store.map().size, scratch.leftovers()], [1, []]);
      writeFileSync(join(place.tree, "etc/motd"), "changed\n");
      await store.registerByGraphId(place.id, right);
    });

    it("refuse a directory that is a writable layer's, for it would go with that", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const rw = await store.createRWLayer("rw");
      writeFileSync(join(await rw.mount(), "f"), "f");
      await rw.unmount();
      const tarSplitFile = join(scratch.dir, "split.gz");
      const checksum = await store.checksumForGraphId(rw.mountId, { newTarSplitPath: tarSplitFile });
      await assert.rejects(
        store.registerByGraphId(rw.mountId, { tarSplitFile, ...checksum }),
        (error) => hasCode(error, "CONFLICT"),
      );
      assert.deepEqual(scratch.leftovers(), []);
    });

    it("leave no file behind when the checksum is aborted, or the directory is unknown", async () => {
      using scratch = new ScratchRoot();
      await using store = await scratch.open({ driver });
      const place = await Place.make(scratch, store, "on a layer");
      const before = readdirSync(scratch.dir);
      const abort = new AbortController();
      const working = place.checksum({ signal: abort.signal });
      abort.abort();
      await assert.rejects(working, (error) => hasCode(error, "ABORTED"));
      const unknown = store.checksumForGraphId(randomCacheId(), { newTarSplitPath: place.tarSplitFile });
      await assert.rejects(unknown, (error) => hasCode(error, "NOT_FOUND"));
      assert.equal(existsSync(place.tarSplitFile), false);
      assert.deepEqual(readdirSync(scratch.dir), before);
    });
  });
}

/** A directory of the driver that no record names, as BuildKit leaves it. */
class Place {
  readonly base: Layer;
  readonly id: CacheId = randomCacheId();
  readonly tree: string;
  readonly tarSplitFile: string;
  readonly #store: LayerStore;
  readonly #below: "on a layer" | "on nothing";

  private constructor(
    store: LayerStore,
    place: Pick<Place, "base" | "tarSplitFile"> & { below: "on a layer" | "on nothing" },
  ) {
    this.#store = store;
    this.#below = place.below;
    this.base = place.base;
    this.tarSplitFile = place.tarSplitFile;
    const { driver } = LayerStore.contextOf(store);
    driver.createReadWrite(this.id, this.#parentId());
    const facts = driver.metadata(this.id);
    this.tree = facts["UpperDir"] ?? facts["SourceDir"]!;
  }

  static async make(scratch: ScratchRoot, store: LayerStore, below: "on a layer" | "on nothing"): Promise<Place> {
    const base = await store.register(streamOf(BASE));
    const place = new Place(store, { base, below, tarSplitFile: join(scratch.dir, "split.gz") });
    const { driver } = LayerStore.contextOf(store);
    const path = await driver.get(place.id);
    mkdirSync(join(path, "etc"), { recursive: true });
    writeFileSync(join(path, "etc/motd"), "changed\n");
    writeFileSync(join(path, "etc/new"), "new\n");
    await driver.put(place.id);
    return place;
  }

  async checksum(options: { signal?: AbortSignal } = {}): Promise<LayerChecksum> {
    const parent = this.#parentId();
    const from = parent === undefined ? {} : { parent };
    return await this.#store.checksumForGraphId(this.id, { ...from, ...options, newTarSplitPath: this.tarSplitFile });
  }

  async options(): Promise<RegisterByGraphIdOptions> {
    const parent = this.#below === "on a layer" ? { parent: this.base.chainId } : {};
    return { ...parent, tarSplitFile: this.tarSplitFile, ...await this.checksum() };
  }

  #parentId(): CacheId | undefined {
    return this.#below === "on a layer" ? cacheIdOf(this.#store, this.base) : undefined;
  }
}

function cacheIdOf(store: LayerStore, { chainId }: Layer): CacheId {
  return LayerStore.contextOf(store).layerDb.read(chainId).cacheId;
}
