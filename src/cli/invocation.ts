// SPDX-License-Identifier: Apache-2.0
/**
 * One call of a command: what the user gave, where output goes, and the store that is meant.
 *
 * @module
 */
import { resolve } from "node:path";
import type { LayerStore, OpenOptions } from "../../mod.ts";
import type { Globals } from "./globals.ts";
import type { Input } from "./input.ts";
import type { CliIo } from "./io.ts";
import { Log } from "./log.ts";
import { Output } from "./output.ts";
import { type Progress, type ProgressSubject, startProgress } from "./progress.ts";
import { loadStrata } from "./strata.ts";

/** What a call is made of. */
export interface InvocationParts {
  readonly io: CliIo;
  readonly globals: Globals;
  readonly input: Input;
  readonly signal: AbortSignal;
}

/** One call of a command. */
export class Invocation {
  readonly io: CliIo;
  readonly globals: Globals;
  readonly input: Input;
  /** Fires when the user or the system ends the command. */
  readonly signal: AbortSignal;
  readonly output: Output;
  readonly log: Log;

  constructor({ io, globals, input, signal }: InvocationParts) {
    this.io = io;
    this.globals = globals;
    this.input = input;
    this.signal = signal;
    this.output = new Output(io.stdout, globals);
    this.log = new Log(io.stderr, { globals, env: io.env });
  }

  /**
   * The store that the global options name. To be disposed of, or its threads go on.
   * @throws {StrataError} as `LayerStore.open`
   */
  async openStore(): Promise<LayerStore> {
    const { LayerStore } = await loadStrata();
    return await LayerStore.open(openOptions(this.globals));
  }

  /** Begins to show the progress of an operation. */
  progress(subject: ProgressSubject): Promise<Progress> {
    return startProgress(this.io.stderr, { ...subject, globals: this.globals });
  }
}

function openOptions({ root, runRoot, driver, driverOptions, readOnlyRoots, lockTimeoutMs }: Globals): OpenOptions {
  return {
    ...(root === undefined ? {} : { root }),
    ...(runRoot === undefined ? {} : { runRoot }),
    ...(driver === undefined ? {} : { driver }),
    ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
    driverOptions,
    readOnlyRoots: readOnlyRoots.map((path) => resolve(path)),
    // Nothing else is to be done meanwhile.
    pace: "full",
  };
}
