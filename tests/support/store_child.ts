// SPDX-License-Identifier: Apache-2.0
/**
 * A process that uses a store as it is told in its first argument. See `child.ts`.
 *
 * @module
 */
import process from "node:process";
import { isStrataError, LayerStore, parseChainId } from "../../mod.ts";
import { file, layerTar } from "../../src/testing/layer_builder.ts";
import { WorkerPool } from "../../src/worker/pool.ts";
import type { ChildOrder, ChildTask, ChildWord } from "./child.ts";
import { archiveDiffer } from "./archive_differ.ts";
import { streamOf } from "./scratch_store.ts";

const TASKS: Readonly<Record<ChildTask, (order: ChildOrder) => Promise<void>>> = {
  "hold": hold,
  "register": register,
  "register-forever": registerForever,
  "run-a-job": runJob,
  "stage": stage,
};

const order: ChildOrder = JSON.parse(process.argv[2] ?? "{}");
try {
  await TASKS[order.task](order);
} catch (error) {
  const code = isStrataError(error) ? error.code : "none";
  say({ type: "failed", code, message: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}

/** Holds a layer until its input ends, and just exits then. */
async function hold(order: ChildOrder): Promise<void> {
  const store = await open(order);
  const { chainId } = store.get(parseChainId(order.chainId ?? ""));
  say({ type: "held", chainId });
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
  process.exit(0);
}

async function register(order: ChildOrder): Promise<void> {
  await using store = await open(order);
  const { chainId } = await store.register(streamOf(manyFiles(order.fileCount ?? 1)));
  say({ type: "registered", chainId });
}

/** Registers one layer on another, each quickly made, until somebody ends it. */
async function registerForever(order: ChildOrder): Promise<void> {
  const store = await open(order);
  for (let round = 0;; round++) {
    const bytes = manyFiles(order.fileCount ?? 1, `${process.pid}-${round}`);
    const { chainId } = await store.register(streamOf(bytes));
    say({ type: "registered", chainId });
  }
}

/** Uses pools and disposes of nothing: their threads must not keep the process alive. */
async function runJob({ root }: ChildOrder): Promise<void> {
  for (const pace of ["background", "full"] as const) await new WorkerPool({ pace }).run("sync", { dirs: [root] });
  say({ type: "done" });
}

/** Has something staged until it is killed. */
async function stage(order: ChildOrder): Promise<void> {
  const store = await open(order);
  await store.stageDiff(archiveDiffer([file("f", "content")]));
  say({ type: "done" });
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
}

function open({ root, runRoot, driver, durability = "none" }: ChildOrder): Promise<LayerStore> {
  return LayerStore.open({ root, runRoot, driver, durability, pace: "full" });
}

function manyFiles(count: number, salt = ""): Uint8Array {
  const files = Array.from({ length: count }, (_, index) => file(`f${index}`, `${index} ${salt}\n`.repeat(100)));
  return layerTar(files);
}

function say(word: ChildWord): void {
  process.stdout.write(`${JSON.stringify(word)}\n`);
}
