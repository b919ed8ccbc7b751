// SPDX-License-Identifier: Apache-2.0
/**
 * The options that every command takes, before its name or after it; the later value wins. A flag wins over the
 * environment, and that over the default.
 *
 * @module
 */
import { resolve } from "node:path";
import type { OptionSpec } from "./command.ts";
import { UsageError } from "./errors.ts";
import { parsePairs } from "./input.ts";

/** How data is printed. */
export type OutputFormat = "table" | "json" | "jsonl";
/** How progress is shown. */
export type ProgressMode = "auto" | "tty" | "plain" | "json" | "none";
/** Which notices are printed; each includes those before it. */
export type LogLevel = "error" | "warn" | "info" | "debug";
/** Whether messages are coloured. */
export type ColorMode = "auto" | "always" | "never";

/** The global options of one call. */
export interface Globals {
  readonly root: string | undefined;
  readonly runRoot: string | undefined;
  /** Absent: the library chooses. */
  readonly driver: string | undefined;
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly readOnlyRoots: readonly string[];
  readonly format: OutputFormat;
  readonly volume: "normal" | "quiet";
  readonly progress: ProgressMode;
  readonly logLevel: LogLevel;
  readonly color: ColorMode;
  readonly lockTimeoutMs: number | undefined;
}

const FORMATS: readonly OutputFormat[] = ["table", "json", "jsonl"];
const PROGRESS: readonly ProgressMode[] = ["auto", "tty", "plain", "json", "none"];
const LOG_LEVELS: readonly LogLevel[] = ["error", "warn", "info", "debug"];
const COLORS: readonly ColorMode[] = ["auto", "always", "never"];

/** Their specification, as help shows it. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { name: "root", value: "DIR", summary: "where the store lies (env: STRATA_ROOT)" },
  { name: "run-root", value: "DIR", summary: "where mounts are counted (env: STRATA_RUN_ROOT)" },
  { name: "driver", value: "NAME", summary: "overlay2, vfs, fuse-overlayfs or auto (env: STRATA_DRIVER)" },
  { name: "driver-opt", value: "K=V", repeated: "list", summary: "an option of the driver; may be repeated" },
  { name: "read-only-root", value: "DIR", repeated: "list", summary: "a further store to read from; may be repeated" },
  { name: "format", value: "FORMAT", choices: FORMATS, summary: "how data is printed" },
  { name: "json", summary: "short for --format json; errors are JSON, too" },
  { name: "quiet", short: "q", summary: "print ids only, and no notices" },
  { name: "progress", value: "MODE", choices: PROGRESS, summary: "how progress is shown on standard error" },
  { name: "log-level", value: "LEVEL", choices: LOG_LEVELS, summary: "which notices are printed" },
  { name: "color", value: "WHEN", choices: COLORS, summary: "colour messages; NO_COLOR is obeyed" },
  { name: "lock-timeout", value: "SECONDS", summary: "how long to wait for another process (default 30)" },
];

/** The options that were given, by name; lists are already joined. */
export type GivenGlobals = ReadonlyMap<string, unknown>;

/**
 * Puts given options, environment and defaults together.
 * @throws {UsageError} for a value that makes no sense
 */
export function resolveGlobals(given: GivenGlobals, env: Readonly<Record<string, string | undefined>>): Globals {
  const text = (name: string, variable?: string): string | undefined => {
    const value = given.get(name) ?? (variable === undefined ? undefined : env[variable]);
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const directory = (name: string, variable: string) => {
    const path = text(name, variable);
    return path === undefined ? undefined : resolve(path);
  };
  const driver = text("driver", "STRATA_DRIVER");
  const quiet = given.get("quiet") === true;
  return {
    root: directory("root", "STRATA_ROOT"),
    runRoot: directory("run-root", "STRATA_RUN_ROOT"),
    driver: driver === "auto" ? undefined : driver,
    driverOptions: parsePairs("driver-opt", strings(given.get("driver-opt"))),
    readOnlyRoots: strings(given.get("read-only-root")),
    format: oneOf(FORMATS, text("format")) ?? "table",
    volume: quiet ? "quiet" : "normal",
    progress: oneOf(PROGRESS, text("progress")) ?? "auto",
    logLevel: oneOf(LOG_LEVELS, text("log-level")) ?? (quiet ? "error" : "info"),
    color: oneOf(COLORS, text("color")) ?? "auto",
    lockTimeoutMs: milliseconds(text("lock-timeout")),
  };
}

/**
 * What errors need of the global options when the command line as a whole could not be parsed: read from the bare words,
 * the last one wins.
 */
export function scanGlobals(args: readonly string[]): Globals {
  const end = args.indexOf("--");
  const words = end < 0 ? args : args.slice(0, end);
  const given = new Map<string, unknown>();
  for (const [index, word] of words.entries()) {
    const [name = "", inline] = word.replace(/^--/, "").split("=", 2);
    if (!word.startsWith("--")) continue;
    if (name === "json") given.set("format", "json");
    if (["format", "log-level", "color"].includes(name)) given.set(name, inline ?? words[index + 1]);
  }
  return resolveGlobals(given, {});
}

function oneOf<T extends string>(choices: readonly T[], text: string | undefined): T | undefined {
  return choices.find((choice) => choice === text);
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

function milliseconds(seconds: string | undefined): number | undefined {
  if (seconds === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(seconds)) {
    throw new UsageError(`Cannot use --lock-timeout "${seconds}": expected a number of seconds, such as 10 or 0.5`);
  }
  return Math.round(Number(seconds) * 1000);
}
