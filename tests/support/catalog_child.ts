// SPDX-License-Identifier: Apache-2.0
/**
 * A process that changes a store's catalog as its first argument says: `contend` for one record with others, or use every
 * verb once, or `adopt` all of another root, and be killed at some moment.
 *
 * @module
 */
import process from "node:process";
import { LayerStore } from "../../mod.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { streamOf } from "./scratch_store.ts";

const SECOND = layerTar([file("second", "2")]);

/** What such a process is to do. */
export interface CatalogOrder {
  readonly task: "adopt" | "contend" | "verbs";
  readonly root: string;
  readonly runRoot: string;
  /** `contend`: tells it apart from the others. */
  readonly name?: string;
  readonly rounds?: number;
  /** `adopt`: the other root. */
  readonly from?: string;
}

if (process.argv[2] !== undefined) await run(JSON.parse(process.argv[2]));

async function run({ task, root, runRoot, name = "", rounds = 0, from = "" }: CatalogOrder): Promise<void> {
  await using store = await LayerStore.open({ root, runRoot, driver: "vfs", durability: "none", pace: "full" });
  if (task === "contend") await contend(store, name, rounds);
  else if (task === "adopt") await store.adopt({ from, refs: "all" });
  else await useVerbs(store);
}

async function contend({ catalog }: LayerStore, name: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const key = `${name}-${round}`;
    await catalog.setFlag("shared", key, round);
    await catalog.addNames("shared", [key, `${key}-gone`]);
    await catalog.setBigData("shared", key, bytes(key));
    await catalog.removeNames("shared", [`${key}-gone`]);
  }
}

/** `kept` is there before, with a data item and a layer of its own. */
async function useVerbs({ catalog }: LayerStore): Promise<void> {
  await catalog.create({ id: "awaiting", names: ["awaits"], parent: "kept" });
  await catalog.applyDiff("awaiting", streamOf(layerTar([file("awaited", "1")])));
  await catalog.setBigData("kept", "item", bytes("second"));
  await catalog.setBigData("awaiting", "item", bytes("first"));
  await catalog.setNames("kept", ["other", "names"]);
  await catalog.setFlag("kept", "flag", true);
  const bigData = new Map([["item", new TextEncoder().encode("put")]]);
  await catalog.put({ id: "put", names: ["puts"], parent: "awaiting", diff: streamOf(SECOND), bigData });
  await catalog.create({ id: "writable", parent: "put", access: "writable" });
  await catalog.applyDiff("writable", streamOf(layerTar([file("applied", "3")])));
  await catalog.delete("writable");
  await catalog.delete("put");
  await catalog.delete("awaiting");
}

function bytes(text: string): ReadableStream<Uint8Array> {
  return streamOf(new TextEncoder().encode(text));
}
