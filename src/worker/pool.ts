// SPDX-License-Identifier: Apache-2.0
/**
 * Threads for heavy work (D10). A thread runs one job at a time; it is started when a job finds none idle, kept for
 * the next one, and does not keep the process alive while idle.
 *
 * @module
 */
import type { MessagePort, Transferable } from "node:worker_threads";
import { StrataError } from "../core/errors.ts";
import { orAborted, throwIfAborted } from "../stream/signal.ts";
import { AbortFlag } from "./abort_flag.ts";
import { type StartedThread, startThread, type ThreadPace } from "./foreman.ts";
import type { JobName, JobRequest, JobResult, Report } from "./job_map.ts";
import type { Answer, Order } from "./thread.ts";
import { fromWire } from "./wire_error.ts";

/** How a job is run. */
export interface RunOptions {
  /** Ports that go to the thread with the request. */
  readonly transfer?: readonly Transferable[];
  /** Called with what the job reports. */
  readonly onReport?: Report;
  /** Once it fires, the job is told to stop, and the caller gets `ABORTED`. */
  readonly signal?: AbortSignal;
  /**
   * Whether the caller gets it at once (the default), or when the job has stopped: needed where the job writes, and the
   * caller is to remove that.
   */
  readonly whenAborted?: "leave" | "wait";
}

/** How a pool treats its threads. */
export interface PoolOptions {
  /** Default: `background`. */
  readonly pace?: ThreadPace;
}

interface Running {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onReport: Report | undefined;
}

/** Runs jobs in threads. Dispose of it to end the threads; jobs that still run are rejected. */
export class WorkerPool implements AsyncDisposable {
  readonly #idle: Thread[] = [];
  readonly #all = new Set<Thread>();
  readonly #pace: ThreadPace;
  #state: "open" | "closed" = "open";

  constructor(options: PoolOptions = {}) {
    this.#pace = options.pace ?? "background";
  }

  /**
   * Runs a job in a thread of its own.
   * @throws {StrataError} what the job threw; `ABORTED` when the signal fires or the pool is closed, `IO` when the thread
   *   died
   */
  async run<J extends JobName>(job: J, request: JobRequest<J>, options: RunOptions = {}): Promise<JobResult<J>> {
    const { signal, whenAborted } = options;
    if (signal === undefined) return await this.#run({ job, request }, options);
    throwIfAborted(signal);
    const flag = new AbortFlag();
    const onAbort = (): void => flag.raise();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const running = this.#run<J>({ job, request, abort: flag.shared }, options);
      return await (whenAborted === "wait" ? running : orAborted(running, signal));
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  async #run<J extends JobName>(order: Order, options: RunOptions): Promise<JobResult<J>> {
    if (this.#state === "closed") throw closed();
    const thread = this.#idle.pop() ?? this.#start();
    try {
      // What a job returns is what its type says: the thread runs the very same map.
      return await thread.run(order, options) as JobResult<J>;
    } finally {
      if (thread.alive) this.#idle.push(thread);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = "closed";
    await Promise.all([...this.#all].map((thread) => thread.close()));
  }

  #start(): Thread {
    const thread = new Thread(this.#pace, () => this.#forget(thread));
    this.#all.add(thread);
    return thread;
  }

  #forget(thread: Thread): void {
    this.#all.delete(thread);
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
  }
}

class Thread {
  readonly #thread: StartedThread;
  readonly #port: MessagePort;
  #running: Running | undefined;
  #alive = true;

  constructor(pace: ThreadPace, onEnd: () => void) {
    this.#thread = startThread({ pace, onEnd: (error) => this.#die(died(error), onEnd) });
    this.#port = this.#thread.port;
    this.#port.on("message", (answer: Answer) => this.#take(answer));
    this.#port.unref();
  }

  get alive(): boolean {
    return this.#alive;
  }

  run(order: Order, options: RunOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#port.postMessage(order, [...(options.transfer ?? [])]);
      this.#running = { resolve, reject, onReport: options.onReport };
      this.#port.ref();
    });
  }

  /** Rejects what runs, and ends the thread. */
  async close(): Promise<void> {
    this.#alive = false;
    this.#running?.reject(closed());
    this.#running = undefined;
    this.#port.close();
    await this.#thread.end();
  }

  #take(answer: Answer): void {
    const running = this.#running;
    if (running === undefined) return;
    if (answer.type === "report") return running.onReport?.(answer.bytes);
    this.#running = undefined;
    this.#port.unref();
    if (answer.type === "done") running.resolve(answer.result);
    else running.reject(fromWire(answer.error));
  }

  #die(error: Error, onEnd: () => void): void {
    this.#alive = false;
    this.#port.close();
    onEnd();
    this.#running?.reject(error);
    this.#running = undefined;
  }
}

function closed(): StrataError {
  return new StrataError("ABORTED", "Cannot finish the job: the store was closed meanwhile; open it again", {});
}

function died(cause?: Error): StrataError {
  const reason = cause === undefined ? "its thread has ended" : `its thread has ended (${cause.message})`;
  return new StrataError("IO", `Cannot finish the job: ${reason}; try again`, {}, { cause });
}
