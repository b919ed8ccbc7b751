// SPDX-License-Identifier: Apache-2.0
/**
 * The thread that starts the others. See `foreman.ts`.
 *
 * @module
 */
import { type MessagePort, parentPort, Worker } from "node:worker_threads";
import { toWire, type WireError } from "./wire_error.ts";

/** A thread to be started; it gets its orders and answers by the port. */
export interface StartOrder {
  readonly id: number;
  readonly port: MessagePort;
}

/** A thread's end. */
export interface EndReport {
  readonly id: number;
  /** Absent: it ended without saying why. */
  readonly error?: WireError;
}

/** The built package has `.js` files; the source is run as it is. */
const THREAD_URL = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url);

if (parentPort === null) throw new Error("Cannot start threads: foreman_thread.ts is not the main module of a worker");
const boss = parentPort;

boss.on("message", ({ id, port }: StartOrder) => {
  const thread = new Worker(THREAD_URL, { workerData: { port }, transferList: [port] });
  thread.on("error", (error: Error) => boss.postMessage({ id, error: toWire(error) } satisfies EndReport));
  thread.on("exit", () => boss.postMessage({ id } satisfies EndReport));
});
