// SPDX-License-Identifier: Apache-2.0
/**
 * A process that does at random, but as its seed says, what users of a store do; others do the same on the same store. It
 * fails when something that it relies on is not so. See `child.ts` and `tests/store/processes_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type ChainId, hasCode, isStrataError, type Layer, LayerStore, parseDiffId, type RecordId } from "../../mod.ts";
import { digestOf } from "../../src/core/digest.ts";
import { dir, file, layerTar, whiteout } from "../../src/testing/layer_builder.ts";
import type { ChildWord, StressOrder } from "./child.ts";
import { streamOf } from "./scratch_store.ts";

/** Layers that all processes make, each on the one before or on nothing. */
const SHARED = Array.from({ length: 6 }, (_, index) =>
  layerTar([
    dir("shared"),
    ...Array.from({ length: 40 }, (_, n) => file(`shared/${index}-${n}`, `${index} ${n}\n`.repeat(50))),
    ...(index % 3 === 2 ? [whiteout(`shared/${index - 1}-0`)] : []),
  ]));
const HANDLES_MAX = 8;

/** A small generator of numbers: Mulberry32. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `sides`. */
  roll(sides: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % sides;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.roll(items.length)]!;
  }
}

class StressWorker {
  readonly #store: LayerStore;
  readonly #order: StressOrder;
  readonly #dice: Dice;
  readonly #handles: Layer[] = [];
  readonly #records = new Map<RecordId, ChainId>();
  /** ChainIDs of the shared layers, each alone and on the one before. */
  readonly #known: ChainId[] = [];
  #made = 0;

  constructor(store: LayerStore, order: StressOrder) {
    this.#store = store;
    this.#order = order;
    this.#dice = new Dice(order.seed);
  }

  async run(): Promise<void> {
    const actions = [
      ...[this.#registerShared, this.#registerShared, this.#registerShared, this.#registerOwn, this.#registerOwn],
      ...[this.#workInWritable, this.#workInWritable, this.#readMounted, this.#release, this.#release, this.#release],
      ...[this.#getKnown, this.#keep, this.#keep, this.#dropRecord, this.#verifyHeld, this.#collect],
      ...[this.#workWithRecord, this.#workWithRecord, this.#fillRecord],
    ];
    for (let step = 0; step < this.#order.steps; step++) {
      if (this.#handles.length > HANDLES_MAX) await this.#release();
      await this.#dice.pick(actions).call(this);
      for (const { chainId } of this.#handles) assert(this.#store.layers().layers.has(chainId), `lost ${chainId}`);
    }
    for (const layer of this.#handles.splice(0)) await this.#releaseOne(layer);
  }

  async #registerShared(): Promise<void> {
    const index = this.#dice.roll(SHARED.length);
    const bytes = SHARED[index]!;
    const below = index % 3 === 0 ? undefined : this.#handles.find(({ parentChainId }) => parentChainId === undefined);
    const parent = below === undefined ? {} : { parent: below.chainId };
    const layer = await this.#store.register(streamOf(bytes), { ...parent, ...this.#expectation(bytes) });
    this.#handles.push(layer);
    this.#known.push(layer.chainId);
  }

  /** Sometimes it is known beforehand what a layer will be; then processes wait for one another. */
  #expectation(bytes: Uint8Array) {
    const digest = digestOf(bytes);
    const kinds = [{}, { expectedDiffId: parseDiffId(digest) }, { expectedBlob: { digest, sizeBytes: bytes.length } }];
    return this.#dice.pick(kinds);
  }

  async #registerOwn(): Promise<void> {
    const name = `${this.#order.name}-${this.#made++}`;
    const bytes = layerTar([file(name, name.repeat(1000))]);
    const parent = this.#handles.length === 0 ? {} : { parent: this.#dice.pick(this.#handles).chainId };
    this.#handles.push(await this.#store.register(streamOf(bytes), parent));
  }

  async #workInWritable(): Promise<void> {
    const name = `${this.#order.name}-rw${this.#made++}`;
    const parent = this.#handles.length === 0 ? {} : { parent: this.#dice.pick(this.#handles).chainId };
    await this.#store.createRWLayer(name, parent);
    const path = await this.#store.mount(name);
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, "file"), name);
    await this.#store.unmount(name);
    if (this.#dice.roll(2) === 0) this.#handles.push(await this.#store.commit(name));
    if (this.#dice.roll(4) > 0) await this.#store.releaseRWLayer(name);
  }

  /** A record with a writable layer and data of its own, which may outlive this process, or go again. */
  async #workWithRecord(): Promise<void> {
    const { catalog } = this.#store;
    const id = `${this.#order.name}-box${this.#made++}`;
    const parent = this.#handles.length === 0 ? {} : { parent: this.#dice.pick(this.#handles).chainId };
    const diff = streamOf(this.#dice.pick(SHARED));
    await catalog.put({ id, ...parent, access: "writable", diff, bigData: new Map([["key", new Uint8Array([1, 2])]]) });
    const path = await catalog.mount(id);
    writeFileSync(join(path, id), id);
    assert.equal(await catalog.unmount(id), 0);
    await catalog.setBigData(id, "key", streamOf(new Uint8Array([3])));
    await catalog.setFlag(id, "flag", this.#made);
    assert.equal(catalog.bigDataSize(id, "key"), 1);
    if (this.#dice.roll(3) > 0) await catalog.delete(id);
  }

  /** A record whose diff comes later. */
  async #fillRecord(): Promise<void> {
    const { catalog } = this.#store;
    const id = `${this.#order.name}-blank${this.#made++}`;
    const bytes = this.#dice.pick(SHARED);
    await catalog.create({ id });
    await catalog.applyDiff(id, streamOf(bytes));
    assert.equal(catalog.get(id).content?.diffId, digestOf(bytes));
    if (this.#dice.roll(2) === 0) await catalog.delete(id, { whenUsed: "remove" });
  }

  async #readMounted(): Promise<void> {
    if (this.#handles.length === 0) return;
    const { chainId } = this.#dice.pick(this.#handles);
    const path = await this.#store.mount(chainId);
    assert(readdirSync(path).length > 0, `${chainId} is mounted empty`);
    await this.#store.unmount(chainId);
  }

  async #release(): Promise<void> {
    if (this.#handles.length === 0) return;
    const [layer] = this.#handles.splice(this.#dice.roll(this.#handles.length), 1);
    await this.#releaseOne(layer!);
  }

  async #releaseOne(layer: Layer): Promise<void> {
    for (const { chainId, remains } of await this.#store.release(layer)) {
      assert.equal(remains, undefined, `${chainId}: ${remains?.message}`);
    }
  }

  /** Another process may delete it at this very moment: then there is no handle. If there is one, it is true. */
  async #getKnown(): Promise<void> {
    if (this.#known.length === 0) return;
    const chainId = this.#dice.pick(this.#known);
    try {
      this.#handles.push(this.#store.get(chainId));
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return;
      throw error;
    }
    await this.#requireIntact(chainId);
  }

  async #keep(): Promise<void> {
    if (this.#handles.length === 0) return;
    const { chainId } = this.#dice.pick(this.#handles);
    const { id } = await this.#store.catalog.add(chainId, { names: [`${this.#order.name}:${this.#made++}`] });
    this.#records.set(id, chainId);
    say({ type: "kept", recordId: id, chainId });
  }

  async #dropRecord(): Promise<void> {
    const [entry] = this.#records;
    if (entry === undefined) return;
    const [recordId, chainId] = entry;
    this.#records.delete(recordId);
    say({ type: "dropping", recordId, chainId });
    await this.#store.catalog.delete(recordId, { whenUsed: "remove" });
  }

  async #verifyHeld(): Promise<void> {
    if (this.#handles.length > 0) await this.#requireIntact(this.#dice.pick(this.#handles).chainId);
  }

  async #requireIntact(chainId: ChainId): Promise<void> {
    const result = await this.#store.verify(chainId);
    assert.equal(result.state, "ok", result.state === "bad" ? result.error.message : "");
  }

  async #collect(): Promise<void> {
    for (const { state, error } of (await this.#store.gc({ minAgeMs: 0 })).outcomes) {
      assert.notEqual(state, "failed", error?.message ?? "");
    }
  }
}

function say(word: ChildWord): void {
  process.stdout.write(`${JSON.stringify(word)}\n`);
}

const order: StressOrder = JSON.parse(process.argv[2] ?? "{}");
const { root, runRoot, driver, durability = "none" } = order;
try {
  await using store = await LayerStore.open({
    root,
    runRoot,
    driver,
    durability,
    pace: "full",
    lockTimeoutMs: 300_000,
  });
  await new StressWorker(store, order).run();
  say({ type: "done" });
} catch (error) {
  const message = error instanceof Error ? `${error.stack}\n${String(error.cause ?? "")}` : String(error);
  say({ type: "failed", code: isStrataError(error) ? error.code : "none", message });
  process.exitCode = 1;
}
