// SPDX-License-Identifier: Apache-2.0
/**
 * The command line from words to exit code. Nothing here ends the process but a second signal, so tests call it as it is.
 *
 * @module
 */
import process from "node:process";
import { CommanderError } from "commander";
import { COMMANDS } from "./command_table.ts";
import type { Handover } from "./command.ts";
import { EnvironmentError, OutputClosed, UsageError } from "./errors.ts";
import { EXIT } from "./exit_codes.ts";
import { failureOf, traceOf } from "./failure.ts";
import { resolveGlobals, scanGlobals } from "./globals.ts";
import { Invocation } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { Log } from "./log.ts";
import { enterNamespace } from "./namespace.ts";
import { buildProgram, isHelp } from "./program.ts";
import { Interruption } from "./signals.ts";

/** The oldest Node whose features the library uses. Deno states a Node version, too. */
const NODE_MAJOR_MIN = 20;
/** Columns of help when the terminal's are unknown. */
const WIDTH = 100;

/** Runs one command line, without the program's own name, and gives the exit code. */
export async function main(args: readonly string[], io: CliIo): Promise<number> {
  const outcome = await runInterruptible(args, io);
  if (typeof outcome === "number") return outcome;
  try {
    // From here on signals are the other program's.
    return await outcome.run();
  } catch (error) {
    return await reportFailure(error, { args, io });
  }
}

async function runInterruptible(args: readonly string[], io: CliIo): Promise<number | Handover> {
  using interruption = new Interruption(io);
  try {
    requireRuntime(process.versions.node);
    const outcome = await runProgram(args, { io, signal: interruption.signal });
    return interruption.exitCode ?? outcome;
  } catch (error) {
    return await reportFailure(error, { args, io, interruption });
  }
}

/**
 * Refuses a runtime that is too old.
 * @throws {EnvironmentError}
 */
export function requireRuntime(nodeVersion: string): void {
  if (Number.parseInt(nodeVersion, 10) >= NODE_MAJOR_MIN) return;
  throw new EnvironmentError(`Cannot run on Node ${nodeVersion}: it is too old`, {
    hint: `Use Node ${NODE_MAJOR_MIN} or later, or Deno 2.9 or later`,
  });
}

/**
 * Refuses words that were no UTF-8. Runtimes give U+FFFD in place of what is none, so two such words can look the same, and
 * one would be taken for the other.
 * @throws {UsageError}
 */
function requireText(args: readonly string[]): void {
  const index = args.findIndex((word) => word.includes("\ufffd"));
  if (index < 0) return;
  throw new UsageError(`Cannot use argument ${index + 1}, ${JSON.stringify(args[index])}: it is no UTF-8 text`, {
    hint:
      "Give a text without U+FFFD, which stands for bytes that are none; a file can be renamed, or given as standard input",
  });
}

interface Run {
  readonly io: CliIo;
  readonly signal: AbortSignal;
}

async function runProgram(args: readonly string[], { io, signal }: Run): Promise<number | Handover> {
  requireText(args);
  const printed = { stdout: "", stderr: "" };
  let outcome: number | Handover = EXIT.ok;
  const program = buildProgram(COMMANDS, {
    width: WIDTH,
    write: (text, to) => void (printed[to] += text),
    async onCommand(spec, { input, globals }) {
      const invocation = new Invocation({ io, signal, input, globals: resolveGlobals(globals, io.env) });
      outcome = await enterNamespace(spec, invocation, args) ?? await spec.run(invocation) ?? EXIT.ok;
    },
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return outcome;
  } catch (error) {
    if (!(error instanceof CommanderError) || !isHelp(error)) throw error;
    await io.stdout.write(printed.stdout);
    await io.stderr.write(printed.stderr);
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

interface Failed {
  readonly args: readonly string[];
  readonly io: CliIo;
  readonly interruption?: Interruption;
}

async function reportFailure(error: unknown, { args, io, interruption }: Failed): Promise<number> {
  if (error instanceof OutputClosed) return EXIT.ok;
  const globals = scanGlobals(args);
  const log = new Log(io.stderr, { globals, env: io.env });
  if (globals.logLevel === "debug") await io.stderr.write(`${traceOf(error)}\n`).catch(() => {});
  // What failed because of the signal is no failure of its own.
  if (interruption?.exitCode !== undefined) return interruption.exitCode;
  const failure = failureOf(error);
  await log.failure(failure);
  return failure.exitCode;
}
