// SPDX-License-Identifier: Apache-2.0
/**
 * Starting the runtime's thread for jobs, wherever that is done: in the thread that asks, or in the foreman.
 *
 * @module
 */
import { type MessagePort, Worker } from "node:worker_threads";
import type { ThreadData } from "./thread.ts";

/** The built package has `.js` files; the source is run as it is. */
const THREAD_URL = new URL(import.meta.url.endsWith(".ts") ? "./thread.ts" : "./thread.js", import.meta.url);

/** Starts a thread that takes its orders from the port; calls once when it has ended, with the error if it told one. */
export function startWorker(port: MessagePort, onEnd: (error: Error | undefined) => void): Worker {
  const worker = new Worker(THREAD_URL, { workerData: { port } satisfies ThreadData, transferList: [port] });
  let tellEnd: typeof onEnd | undefined = onEnd;
  const ended = (error?: Error): void => {
    tellEnd?.(error);
    tellEnd = undefined;
  };
  worker.on("error", (error: Error) => ended(error));
  worker.on("exit", () => ended());
  return worker;
}
