// SPDX-License-Identifier: Apache-2.0
/**
 * Starting threads without stopping the one that asks: `new Worker` takes 30 to 150 ms of its caller's time on Deno 2.9,
 * so a thread of its own does it, and only that one is started here, once in a process. But a thread's thread begins half a
 * second late on Deno 2.9: where the thread that starts it has an inspector session, and every thread but the main one has,
 * it looks for a debugger's word each millisecond before it runs anything, and gives up after 500 ms. No message, timer or
 * protocol command from within the process ends that. So where nothing but the job counts, threads are started here.
 *
 * @module
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { ForemanOrder, ForemanReport } from "./foreman_thread.ts";
import { startWorker } from "./start_worker.ts";
import { fromWire } from "./wire_error.ts";

/**
 * `background`: the threads step back behind the program's own threads, so that the event loop gets the processor when it
 * needs it. `full`: they take what they can get, where nothing waits but for this.
 */
export type ThreadPace = "background" | "full";

/** How a thread is started. */
export interface StartOptions {
  readonly pace: ThreadPace;
  /** Called once when the thread has ended; with the error if it told one. */
  readonly onEnd: (error: Error | undefined) => void;
}

/** A thread that was started. */
export interface StartedThread {
  /** Where it gets its orders, and answers. */
  readonly port: MessagePort;
  /** Ends it, whatever it does; resolves when it is gone. */
  readonly end: () => Promise<void>;
}

/** The built package has `.js` files; the source is run as it is. */
const FOREMAN_URL = new URL(
  import.meta.url.endsWith(".ts") ? "./foreman_thread.ts" : "./foreman_thread.js",
  import.meta.url,
);

/** The process's own. It does nothing while no store asks, and keeps no process alive. */
let foreman: Foreman | undefined;

/** Starts a thread. */
export function startThread({ pace, onEnd }: StartOptions): StartedThread {
  if (pace === "full") return startHere(onEnd);
  foreman ??= new Foreman(() => foreman = undefined);
  return foreman.start(onEnd);
}

function startHere(onEnd: OnEnd): StartedThread {
  const { port1, port2 } = new MessageChannel();
  const worker = startWorker(port2, onEnd);
  worker.unref();
  return { port: port1, end: async () => void await worker.terminate() };
}

type OnEnd = StartOptions["onEnd"];

class Foreman {
  readonly #worker: Worker;
  readonly #onEnd = new Map<number, OnEnd[]>();
  #started = 0;
  #awaited = 0;

  constructor(onGone: () => void) {
    this.#worker = new Worker(FOREMAN_URL);
    const gone = (error: Error | undefined): void => {
      onGone();
      for (const id of [...this.#onEnd.keys()]) this.#ended({ id }, error);
    };
    this.#worker.on("message", (report: ForemanReport) => {
      this.#ended(report, report.error === undefined ? undefined : fromWire(report.error));
    });
    this.#worker.on("error", (error: Error) => gone(error));
    this.#worker.on("exit", () => gone(undefined));
    this.#worker.unref();
  }

  start(onEnd: OnEnd): StartedThread {
    const { port1, port2: port } = new MessageChannel();
    const id = this.#started++;
    this.#onEnd.set(id, [onEnd]);
    this.#worker.postMessage({ type: "start", id, port } satisfies ForemanOrder, [port]);
    return { port: port1, end: () => this.#end(id) };
  }

  /** Whoever waits has nothing else that would keep the process until the answer comes. */
  async #end(id: number): Promise<void> {
    const onEnd = this.#onEnd.get(id);
    if (onEnd === undefined) return;
    if (this.#awaited++ === 0) this.#worker.ref();
    const ended = new Promise<unknown>((resolve) => onEnd.push(resolve));
    this.#worker.postMessage({ type: "end", id } satisfies ForemanOrder);
    await ended;
    if (--this.#awaited === 0) this.#worker.unref();
  }

  #ended({ id }: ForemanReport, error: Error | undefined): void {
    const onEnd = this.#onEnd.get(id) ?? [];
    this.#onEnd.delete(id);
    for (const report of onEnd) report(error);
  }
}
