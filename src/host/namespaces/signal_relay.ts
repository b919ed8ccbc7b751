// SPDX-License-Identifier: Apache-2.0
/**
 * Passing signals on to a child that does this process's work.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import process from "node:process";

/** A terminal sends these to both, and they must not arrive twice. */
const TERMINAL_SIGNALS = ["SIGINT", "SIGQUIT"] as const;
const OTHER_SIGNALS = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** Takes this process's signals, from before its child starts until it is disposed of. */
export class SignalRelay implements Disposable {
  readonly #handlers: readonly (readonly [NodeJS.Signals, () => void])[];
  #child: ChildProcess | undefined;

  constructor() {
    const silent: readonly NodeJS.Signals[] = hasTerminal() ? TERMINAL_SIGNALS : [];
    this.#handlers = [...TERMINAL_SIGNALS, ...OTHER_SIGNALS].map((signal) => {
      return [signal, () => silent.includes(signal) || this.#pass(signal)] as const;
    });
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  /** Says who gets the signals. In the turn in which the child is started none is lost. */
  to<Child extends ChildProcess>(child: Child): Child {
    this.#child = child;
    return child;
  }

  [Symbol.dispose](): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  /** Not by `child.kill`: Deno then says that the signal ended the child, even when the child has caught it. */
  #pass(signal: NodeJS.Signals): void {
    try {
      if (this.#child?.pid !== undefined) process.kill(this.#child.pid, signal);
    } catch {
      // It has ended by itself.
    }
  }
}

/** Whether this process has a terminal that controls it: only then can it be opened under this name. tty(4). */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
