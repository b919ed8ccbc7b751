// SPDX-License-Identifier: Apache-2.0
/**
 * Interruption: the first signal aborts the operation, which cleans up after itself; the second ends the process.
 *
 * @module
 */
import { constants } from "node:os";
import type { CliIo, EndSignal } from "./io.ts";

/** Listens for signals until it is disposed of. */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #stop: () => void;
  #received: EndSignal | undefined;

  constructor(io: CliIo) {
    this.#stop = io.onSignal((signal) => {
      if (this.#received !== undefined) return io.exit(exitCodeFor(signal));
      this.#received = signal;
      this.#controller.abort(new Error(`Cannot go on: ${signal} was received`));
    });
  }

  /** Fires at the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** 128 and the signal's number; `undefined` while none came. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : exitCodeFor(this.#received);
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}

/**
 * Waits for work that takes no signal and changes nothing. What is left of it ends with the store.
 * @throws {Error} the signal's reason
 */
export function interruptible<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

function exitCodeFor(signal: EndSignal): number {
  return 128 + constants.signals[signal];
}
