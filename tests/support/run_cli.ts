// SPDX-License-Identifier: Apache-2.0
/**
 * Runs the command line: in this process with streams of the test's own, or as a process of this runtime.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { CliIo, EndSignal, OutputStream } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";
import { streamOf } from "./scratch_store.ts";

/** How a command is run. */
export interface RunOptions {
  readonly stdin?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
  /** Which standard streams are terminals. */
  readonly terminals?: readonly ("stdin" | "stdout" | "stderr")[];
  /** Called when the command listens for signals, with a function that sends one. */
  readonly onListening?: (send: (signal: EndSignal) => void) => void;
  /** In place of the standard streams. */
  readonly streams?: Partial<Pick<CliIo, "stdin" | "stdout" | "stderr">>;
}

/** What a command did. */
export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stdoutBytes: Uint8Array;
  readonly stderr: string;
  /** Codes with which it wanted to end the process at once. */
  readonly exits: readonly number[];
}

/** Runs `strata` in this process. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
  const { stdin = "", env = {}, terminals = [], onListening, streams = {} } = options;
  const input = typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
  const stdout = new Sink(terminals.includes("stdout") ? "yes" : "no");
  const stderr = new Sink(terminals.includes("stderr") ? "yes" : "no");
  const exits: number[] = [];
  const code = await main(args, {
    env,
    stdin: { terminal: terminals.includes("stdin") ? "yes" : "no", open: () => streamOf(input) },
    stdout,
    stderr,
    onSignal(listener) {
      onListening?.(listener);
      return () => {};
    },
    exit: (exitCode) => void exits.push(exitCode),
    ...streams,
  });
  return { code, stdout: stdout.text(), stdoutBytes: stdout.bytes(), stderr: stderr.text(), exits };
}

/** Keeps what is written. */
export class Sink implements OutputStream {
  readonly terminal: "yes" | "no";
  readonly writable: Writable;
  readonly #chunks: Uint8Array[] = [];

  constructor(terminal: "yes" | "no" = "no") {
    this.terminal = terminal;
    const take = (chunk: string | Uint8Array) => this.#take(chunk);
    const writable = new Writable({
      write(chunk: string | Uint8Array, _encoding, done) {
        take(chunk);
        done();
      },
    });
    this.writable = Object.assign(writable, { isTTY: terminal === "yes", columns: 80 });
  }

  write(data: string | Uint8Array): Promise<void> {
    this.#take(data);
    return Promise.resolve();
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#chunks.flatMap((chunk) => [...chunk]));
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  #take(data: string | Uint8Array): void {
    this.#chunks.push(typeof data === "string" ? new TextEncoder().encode(data) : data.slice());
  }
}

/** Starts `strata` as a process of this runtime. */
export function spawnCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const script = fileURLToPath(new URL(`../../cli.${extension}`, import.meta.url));
  const runtime = "deno" in process.versions ? ["run", "-A", "--no-check"] : [];
  return spawn(process.execPath, [...runtime, script, ...args], { env: { ...process.env, ...env }, stdio: "pipe" });
}

/** A store for commands, which goes away with its scope. */
export class CliStore implements Disposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), "strata-cli-"));
  /** What names the store to a process. */
  readonly env: Readonly<Record<string, string>>;

  constructor(driver = "vfs") {
    this.env = { STRATA_ROOT: join(this.dir, "root"), STRATA_RUN_ROOT: join(this.dir, "run"), STRATA_DRIVER: driver };
  }

  /** Runs a command on this store. */
  run(args: readonly string[], options: RunOptions = {}): Promise<CliResult> {
    return runCli(args, { ...options, env: { ...this.env, ...options.env } });
  }

  /**
   * Runs a command that must succeed, and gives what it prints.
   * @throws {Error} with standard error, when it fails
   */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    if (code !== 0) throw new Error(`strata ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout.trimEnd();
  }

  /** A file beside the store. */
  path(name: string): string {
    return join(this.dir, name);
  }

  /** Makes a file beside the store, and gives its path. */
  file(name: string, content: Uint8Array): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
