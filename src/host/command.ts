// SPDX-License-Identifier: Apache-2.0
/**
 * Running programs: the one seam to processes. `Deno.Command` on Deno, `node:child_process` on Node.
 *
 * A program gets an argument list and never a shell; its path is absolute, so a relative entry of `PATH` cannot choose
 * it; its environment is minimal, so that messages are in English and nothing of the caller's leaks.
 *
 * @module
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import process from "node:process";
import { type Readable, Writable } from "node:stream";
import { StrataError } from "../core/errors.ts";
import { fromOsError } from "./errno.ts";

/** How a program is run. */
export interface CommandOptions {
  /** Working directory. */
  readonly cwd?: string;
  /** Added to the minimal environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the program reads; absent, it reads nothing. */
  readonly stdin?: Uint8Array;
  /** Milliseconds until the program is killed. */
  readonly timeoutMs?: number;
  /** Kills the program. */
  readonly signal?: AbortSignal | undefined;
}

/** How a program ended. */
export interface CommandResult {
  /** Exit code; 128 and the signal's number for a program that a signal ended. */
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** A running program that turns one stream into another. */
export interface Filter {
  readonly writable: WritableStream<Uint8Array>;
  readonly readable: ReadableStream<Uint8Array>;
  /** Settles when the program has ended. */
  readonly done: Promise<{ readonly code: number; readonly stderr: string }>;
  /** Ends the program at once. Later calls do nothing. */
  kill(): void;
}

/** Bytes of standard error that are kept, for messages. */
const STDERR_BYTES_MAX = 64 * 1024;
/** Bytes of standard output that {@link runCommand} takes; what is larger goes through {@link spawnFilter}. */
const STDOUT_BYTES_MAX = 64 * 1024 * 1024;
/** Where programs are looked for when the caller's own `PATH` is empty. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs a program to its end and collects what it writes. Its exit code is for the caller to judge.
 * @throws {StrataError} `NOT_SUPPORTED` for a program that is not there, `ABORTED` for the caller's signal, `IO` for
 *   one that did not end in time or wrote too much
 */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { stdin = new Uint8Array(0), timeoutMs, signal } = options;
  throwIfAborted(program, signal);
  const child = launch(program, args, options);
  const interruption = interruptionOf(program, { timeoutMs, signal });
  try {
    const output = Promise.all([collect(child.readable), child.done, feed(child.writable, stdin)]);
    // Raced, since what the program started itself may keep its pipes open after it was killed.
    const [stdout, { code, stderr }] = await Promise.race([output, interruption.promise]);
    return { code, stdout, stderr };
  } catch (error) {
    child.kill();
    throw fromOsError(error, `run "${program}"`);
  } finally {
    interruption.stop();
  }
}

/**
 * Starts a program that reads one stream and writes another.
 * @throws {StrataError} `NOT_SUPPORTED` for a program that is not there
 */
export function spawnFilter(
  program: string,
  args: readonly string[],
  options: Pick<CommandOptions, "signal"> = {},
): Filter {
  const { signal } = options;
  throwIfAborted(program, signal);
  const child = launch(program, args, {});
  const kill = () => child.kill();
  signal?.addEventListener("abort", kill, { once: true });
  child.done.finally(() => signal?.removeEventListener("abort", kill)).catch(() => {});
  return child;
}

/**
 * Where a program is, by the caller's `PATH` without its relative entries; `undefined` when it is nowhere.
 * Looked up once per name.
 */
export function findProgram(name: string): string | undefined {
  if (!found.has(name)) found.set(name, lookUp(name));
  return found.get(name);
}

const found = new Map<string, string | undefined>();

function lookUp(name: string): string | undefined {
  if (isAbsolute(name)) return isExecutable(name) ? name : undefined;
  if (name.includes("/")) return undefined;
  for (const dir of searchPath().split(delimiter)) {
    const candidate = join(dir, name);
    if (isAbsolute(dir) && isExecutable(candidate)) return candidate;
  }
  return undefined;
}

function searchPath(): string {
  const own = (process.env.PATH ?? "").split(delimiter).filter(isAbsolute).join(delimiter);
  return own === "" ? DEFAULT_PATH : own;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function launch(program: string, args: readonly string[], options: CommandOptions): Filter {
  const path = findProgram(program);
  if (path === undefined) {
    throw new StrataError("NOT_SUPPORTED", `Cannot run "${program}": it is not in PATH; install it`, {
      feature: program,
    });
  }
  const env = { PATH: searchPath(), LANG: "C", HOME: process.env.HOME ?? "/", ...options.env };
  const settings: LaunchSettings = { args: [...args], env, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) };
  try {
    return deno === undefined ? launchOnNode(path, settings) : launchOnDeno(deno, path, settings);
  } catch (error) {
    throw fromOsError(error, `run "${program}"`);
  }
}

interface LaunchSettings {
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly cwd?: string;
}

function launchOnNode(path: string, settings: LaunchSettings): Filter {
  const { args, ...options } = settings;
  const child: ChildProcessWithoutNullStreams = spawn(path, args, { ...options, stdio: "pipe" });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal === "SIGKILL" ? 9 : 15)));
  });
  // The error also arrives at `done`; unheard on the pipe it would end the whole program.
  child.stdin.on("error", () => {});
  return {
    writable: Writable.toWeb(child.stdin),
    readable: webStreamOf(child.stdout),
    done: finished(ended, webStreamOf(child.stderr)),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Pulled chunk by chunk: `Readable.toWeb` counts chunks instead of bytes in some versions, and would hold too much. */
function webStreamOf(readable: Readable): ReadableStream<Uint8Array> {
  const chunks: AsyncIterator<Uint8Array> = readable[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await chunks.return?.();
    },
  }, { highWaterMark: 0 });
}

function launchOnDeno(runtime: DenoRuntime, path: string, settings: LaunchSettings): Filter {
  const piped = { stdin: "piped", stdout: "piped", stderr: "piped", clearEnv: true } as const;
  const child = new runtime.Command(path, { ...settings, ...piped }).spawn();
  return {
    writable: child.stdin,
    readable: child.stdout,
    done: finished(child.status.then(({ code }) => code), child.stderr),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
  };
}

/** What of Deno is used, written down here so that the same source compiles for Node. */
interface DenoRuntime {
  readonly Command: new (
    path: string,
    options: LaunchSettings & {
      readonly stdin: "piped";
      readonly stdout: "piped";
      readonly stderr: "piped";
      readonly clearEnv: true;
    },
  ) => { spawn(): DenoChild };
}

interface DenoChild {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  readonly stderr: ReadableStream<Uint8Array>;
  readonly status: Promise<{ readonly code: number }>;
  kill(signal: "SIGKILL"): void;
}

const deno: DenoRuntime | undefined = (globalThis as { readonly Deno?: DenoRuntime }).Deno;

async function finished(
  code: Promise<number>,
  stderr: ReadableStream<Uint8Array>,
): Promise<{ code: number; stderr: string }> {
  const [ended, bytes] = await Promise.all([code, collectHead(stderr)]);
  return { code: ended, stderr: new TextDecoder().decode(bytes) };
}

/** Writes all input. A program that ends before it has read everything is its own judge. */
async function feed(writable: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  try {
    if (bytes.byteLength > 0) await writer.write(bytes);
    await writer.close();
  } catch {
    // EPIPE; the exit code tells more.
  }
}

async function collect(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readable) {
    length += chunk.byteLength;
    if (length > STDOUT_BYTES_MAX) throw new Error(`it wrote more than ${STDOUT_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return joined(chunks, length);
}

/** Reads to the end, so that the program never blocks, and keeps the beginning. */
async function collectHead(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readable) {
    const kept = chunk.subarray(0, STDERR_BYTES_MAX - length);
    length += kept.byteLength;
    if (kept.byteLength > 0) chunks.push(kept);
  }
  return joined(chunks, length);
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

interface Interruption {
  /** Never fulfilled; rejected when the time is over or the signal fires. */
  readonly promise: Promise<never>;
  stop(): void;
}

function interruptionOf(
  program: string,
  options: { readonly timeoutMs: number | undefined; readonly signal: AbortSignal | undefined },
): Interruption {
  const { timeoutMs, signal } = options;
  const { promise, reject } = withReject();
  const onAbort = () => reject(aborted(program, signal?.reason));
  signal?.addEventListener("abort", onAbort, { once: true });
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => reject(timedOut(program, timeoutMs)), timeoutMs);
  return {
    promise,
    stop() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

/** `Promise.withResolvers` is younger than Node 20. */
function withReject(): { promise: Promise<never>; reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<never>((_, settle) => reject = settle);
  promise.catch(() => {}); // It may be rejected after the race is over.
  return { promise, reject };
}

function timedOut(program: string, timeoutMs: number): StrataError<"IO"> {
  const message = `Cannot run "${program}": it did not end within ${timeoutMs} ms and was killed; try again`;
  return new StrataError("IO", message, { errno: "ETIMEDOUT" });
}

function aborted(program: string, cause: unknown): StrataError<"ABORTED"> {
  return new StrataError("ABORTED", `Cannot run "${program}": the operation was aborted`, {}, { cause });
}

function throwIfAborted(program: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw aborted(program, signal.reason);
}
