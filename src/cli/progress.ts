// SPDX-License-Identifier: Apache-2.0
/**
 * Progress of an operation that moves bytes, on standard error: a bar on a terminal, else a line now and then, or JSON.
 *
 * @module
 */
import prettyBytes from "pretty-bytes";
import type { Globals, ProgressMode } from "./globals.ts";
import type { OutputStream } from "./io.ts";

/** Shows one operation. Dispose of it when the operation has ended, however that was. */
export interface Progress extends AsyncDisposable {
  /** Further bytes are through. */
  add(bytes: number): void;
  /** Further bytes will come. */
  expect(bytes: number): void;
  /** The operation has succeeded. The terminal is free again for what is printed then. */
  succeed(): Promise<void>;
}

/** What is to be shown. */
export interface ProgressSubject {
  readonly operation: string;
  /** Bytes that there will be, as far as is known; absent for pipes. */
  readonly totalBytes?: number | undefined;
}

/** A line at most so often, in milliseconds. Logs are read later, programs and people at once. */
const PLAIN_EVERY_MS = 10_000;
const JSON_EVERY_MS = 500;

/** Begins to show an operation. */
export async function startProgress(
  stderr: OutputStream,
  subject: ProgressSubject & { readonly globals: Globals },
): Promise<Progress> {
  switch (modeOf(subject.globals, stderr)) {
    case "tty":
      return await startBar(stderr, subject);
    case "plain":
      return new LineProgress(stderr, { everyMs: PLAIN_EVERY_MS, ...subject, render: plainLine });
    case "json":
      return new LineProgress(stderr, { everyMs: JSON_EVERY_MS, ...subject, render: jsonLine });
    case "none":
      return SILENT;
  }
}

function modeOf({ progress, volume, format }: Globals, stderr: OutputStream): Exclude<ProgressMode, "auto"> {
  if (progress !== "auto") return progress;
  return stderr.terminal === "yes" && volume === "normal" && format === "table" ? "tty" : "none";
}

const SILENT: Progress = {
  add() {},
  expect() {},
  succeed: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

interface State {
  readonly operation: string;
  readonly bytes: number;
  readonly totalBytes: number | undefined;
  readonly seconds: number;
  readonly phase: "running" | "done";
}

interface LineSettings extends ProgressSubject {
  readonly everyMs: number;
  readonly render: (state: State) => string;
}

class LineProgress implements Progress {
  readonly #stderr: OutputStream;
  readonly #settings: LineSettings;
  readonly #started = performance.now();
  #last = this.#started;
  #bytes = 0;
  #totalBytes: number | undefined;

  constructor(stderr: OutputStream, settings: LineSettings) {
    this.#stderr = stderr;
    this.#settings = settings;
    this.#totalBytes = settings.totalBytes;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    if (performance.now() - this.#last < this.#settings.everyMs) return;
    this.#last = performance.now();
    this.#print("running").catch(() => {});
  }

  expect(bytes: number): void {
    this.#totalBytes = (this.#totalBytes ?? 0) + bytes;
  }

  async succeed(): Promise<void> {
    await this.#print("done").catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #print(phase: State["phase"]): Promise<void> {
    const { operation, render } = this.#settings;
    const seconds = (performance.now() - this.#started) / 1000;
    const state = { operation, totalBytes: this.#totalBytes, bytes: this.#bytes, seconds, phase };
    await this.#stderr.write(`${render(state)}\n`);
  }
}

function plainLine({ operation, bytes, totalBytes, seconds, phase }: State): string {
  if (phase === "done") return `${operation}: ${prettyBytes(bytes)} in ${seconds.toFixed(1)} s`;
  return `${operation}: ${prettyBytes(bytes)}${totalBytes === undefined ? "" : ` of ${prettyBytes(totalBytes)}`}`;
}

function jsonLine({ operation, bytes, totalBytes, phase }: State): string {
  return JSON.stringify({ schema: 1, progress: { operation, phase, bytes, totalBytes: totalBytes ?? null } });
}

async function startBar(stderr: OutputStream, { operation, totalBytes }: ProgressSubject): Promise<Progress> {
  // @ts-types="@types/cli-progress"
  const { SingleBar } = await import("cli-progress");
  const known = `${operation} [{bar}] {percentage}% {done} of {all}`;
  const bar = new SingleBar({
    format: totalBytes === undefined ? `${operation} {done}` : known,
    stream: stderr.writable,
    clearOnComplete: true,
    hideCursor: true,
    gracefulExit: false,
  });
  let bytes = 0;
  let total = totalBytes ?? 0;
  const stop = (): Promise<void> => {
    bar.stop();
    return Promise.resolve();
  };
  const texts = () => ({ done: prettyBytes(bytes), all: prettyBytes(total) });
  bar.start(total, 0, texts());
  return {
    add(more) {
      bytes += more;
      bar.update(bytes, texts());
    },
    expect(more) {
      total += more;
      bar.setTotal(total);
    },
    succeed: stop,
    [Symbol.asyncDispose]: stop,
  };
}
