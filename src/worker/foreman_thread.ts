// SPDX-License-Identifier: Apache-2.0
/**
 * The thread that starts the others. See `foreman.ts`.
 *
 * @module
 */
import { type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { lowerThreadPriority } from "../host/process.ts";
import type { ThreadData } from "./thread.ts";
import { toWire, type WireError } from "./wire_error.ts";

/**
 * `background`: the threads step back behind the program's own threads, so that the event loop gets the processor when it
 * needs it. `full`: they take what they can get, where nothing waits but for this.
 */
export type ThreadPace = "background" | "full";

/** What the foreman is started with. */
export interface ForemanData {
  readonly pace: ThreadPace;
}

/** What the foreman is to do; a started thread gets its orders and answers by the port. */
export type ForemanOrder =
  | { readonly type: "start"; readonly id: number; readonly port: MessagePort }
  | { readonly type: "end"; readonly id: number };

/** A thread's end. */
export interface ForemanReport {
  readonly id: number;
  /** Absent: it ended without saying why. */
  readonly error?: WireError;
}

/** The built package has `.js` files; the source is run as it is. */
const THREAD_URL = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url);

if (parentPort === null) throw new Error("Cannot start threads: foreman_thread.ts is not the main module of a worker");
const boss = parentPort;
const { pace }: ForemanData = workerData;
// The threads inherit it, so that it holds for their start already, when all of them compile the program.
if (pace === "background") lowerThreadPriority();
const threads = new Map<number, Worker>();

boss.on("message", (order: ForemanOrder) => {
  if (order.type === "start") start(order);
  else void threads.get(order.id)?.terminate();
});

function start({ id, port }: ForemanOrder & { readonly type: "start" }): void {
  const thread = new Worker(THREAD_URL, { workerData: { port } satisfies ThreadData, transferList: [port] });
  threads.set(id, thread);
  thread.on("error", (error: Error) => report({ id, error: toWire(error) }));
  thread.on("exit", () => report({ id }));
}

function report(end: ForemanReport): void {
  threads.delete(end.id);
  boss.postMessage(end);
}
