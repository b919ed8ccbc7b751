// SPDX-License-Identifier: Apache-2.0
/**
 * The thread that starts the others. See `foreman.ts`.
 *
 * @module
 */
import { type MessagePort, parentPort, type Worker } from "node:worker_threads";
import { lowerThreadPriority } from "../host/process.ts";
import { startWorker } from "./start_worker.ts";
import { toWire, type WireError } from "./wire_error.ts";

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

if (parentPort === null) throw new Error("Cannot start threads: foreman_thread.ts is not the main module of a worker");
const boss = parentPort;
// The threads inherit it, so that it holds for their start already, when all of them compile the program.
lowerThreadPriority();
const threads = new Map<number, Worker>();

boss.on("message", (order: ForemanOrder) => {
  if (order.type === "start") start(order);
  else void threads.get(order.id)?.terminate();
});

function start({ id, port }: ForemanOrder & { readonly type: "start" }): void {
  const worker = startWorker(port, (error) => {
    threads.delete(id);
    boss.postMessage({ id, ...(error === undefined ? {} : { error: toWire(error) }) } satisfies ForemanReport);
  });
  threads.set(id, worker);
}
