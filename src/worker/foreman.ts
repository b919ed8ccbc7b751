// SPDX-License-Identifier: Apache-2.0
/**
 * Starting threads without stopping the one that asks: `new Worker` takes 30 to 130 ms of its caller's time on Deno 2.9,
 * so a thread of its own does it, and only that one is started here.
 *
 * @module
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { EndReport, StartOrder } from "./foreman_thread.ts";
import { fromWire } from "./wire_error.ts";

/** Called once when a thread has ended; with the error if it told one. */
export type OnEnd = (error: Error | undefined) => void;

/** The built package has `.js` files; the source is run as it is. */
const FOREMAN_URL = new URL(
  import.meta.url.endsWith(".ts") ? "./foreman_thread.ts" : "./foreman_thread.js",
  import.meta.url,
);

/** Starts threads, and ends them all when it is disposed of. */
export class Foreman implements AsyncDisposable {
  readonly #onEnd = new Map<number, OnEnd>();
  #worker: Worker | undefined;
  #started = 0;

  /** Starts a thread, and gives the port to it. */
  start(onEnd: OnEnd): MessagePort {
    const { port1, port2: port } = new MessageChannel();
    const id = this.#started++;
    this.#onEnd.set(id, onEnd);
    this.#worker ??= this.#hire();
    this.#worker.postMessage({ id, port } satisfies StartOrder, [port]);
    return port1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate();
    for (const id of [...this.#onEnd.keys()]) this.#end(id, undefined);
  }

  #hire(): Worker {
    const worker = new Worker(FOREMAN_URL);
    worker.on(
      "message",
      ({ id, error }: EndReport) => this.#end(id, error === undefined ? undefined : fromWire(error)),
    );
    worker.on("error", (error: Error) => this.#endAll(error));
    worker.on("exit", () => this.#endAll(undefined));
    worker.unref();
    return worker;
  }

  #endAll(error: Error | undefined): void {
    this.#worker = undefined;
    for (const id of [...this.#onEnd.keys()]) this.#end(id, error);
  }

  #end(id: number, error: Error | undefined): void {
    const onEnd = this.#onEnd.get(id);
    this.#onEnd.delete(id);
    onEnd?.(error);
  }
}
