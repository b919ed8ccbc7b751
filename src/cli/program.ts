// SPDX-License-Identifier: Apache-2.0
/**
 * The command table as commander's program. Nothing here knows what a command does.
 *
 * @module
 */
import { Argument, Command, type CommanderError, Option } from "commander";
import type { ArgumentSpec, CommandSpec, OptionSpec, TopCommand } from "./command.ts";
import { type GivenGlobals, GLOBAL_OPTIONS } from "./globals.ts";
import { UsageError } from "./errors.ts";
import { commandHelp, programHelp } from "./help.ts";
import { Input } from "./input.ts";
import { VERSION } from "./version.ts";

/** What the program calls and writes to. */
export interface ProgramHooks {
  /** The user's call of a command. */
  onCommand(spec: CommandSpec, call: { readonly input: Input; readonly globals: GivenGlobals }): Promise<void>;
  /** Takes help and the version, which then end the parser with a `CommanderError`. */
  write(text: string, to: "stdout" | "stderr"): void;
  /** Columns of the terminal, for help. */
  readonly width: number;
}

/** Builds the program. */
export function buildProgram(table: readonly TopCommand[], hooks: ProgramHooks): Command {
  const program = new Command("strata")
    .description("Keeps the layers of container file systems: tar in, mounted, and tar out byte for byte.")
    .usage("[options] COMMAND")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help; also after a command")
    .helpCommand("help [COMMAND]", "print the help of a command")
    .enablePositionalOptions()
    .addHelpText("after", programHelp());
  addGlobals(program, "shown");
  hush(program, hooks);
  for (const entry of table) {
    const command = "run" in entry ? leaf(entry, hooks) : branch(entry, hooks);
    program.addCommand(command.helpGroup(`${entry.group}:`));
  }
  return program;
}

function branch(entry: Extract<TopCommand, { readonly commands: unknown }>, hooks: ProgramHooks): Command {
  const command = new Command(entry.name).summary(entry.summary).description(`${entry.summary}.`)
    .helpCommand(false).enablePositionalOptions();
  hush(command, hooks);
  addGlobals(command, "hidden");
  for (const spec of entry.commands) command.addCommand(leaf(spec, hooks));
  return command;
}

function leaf(spec: CommandSpec, hooks: ProgramHooks): Command {
  const { name, aliases = [], summary, description, options = [] } = spec;
  const command = new Command(name).aliases(aliases).summary(summary)
    .description(description === undefined ? `${summary}.` : `${summary}.\n\n${paragraphs(description)}`);
  hush(command, hooks);
  for (const argument of spec.arguments ?? []) command.addArgument(toArgument(argument));
  for (const option of options) command.addOption(toOption(option));
  addGlobals(command, "hidden");
  command.passThroughOptions(spec.trailingOptions === "own");
  command.addHelpText("after", commandHelp(spec));
  return command.action(async () => {
    await hooks.onCommand(spec, { input: inputOf(command, spec), globals: globalsOf(command, spec) });
  });
}

/** Lines of one paragraph as one, which the parser wraps as wide as the terminal is. */
function paragraphs(text: string): string {
  return text.replace(/(?<!\n)\n(?!\n)/g, " ");
}

/** What commander throws when it has printed help or the version; all else is a mistake of the user. */
export function isHelp({ code }: CommanderError): boolean {
  return ["commander.help", "commander.helpDisplayed", "commander.version"].includes(code);
}

/** Errors are thrown and printed by the caller; help and version go through the hooks. */
function hush(command: Command, { write, width }: ProgramHooks): void {
  command.exitOverride((error) => {
    throw isHelp(error) ? error : usageError(error, command);
  });
  command.configureOutput({
    writeOut: (text) => write(text, "stdout"),
    writeErr: (text) => write(text, "stderr"),
    outputError: () => {},
    getOutHelpWidth: () => width,
    getErrHelpWidth: () => width,
  });
}

/** Commander writes `error: …`, and its suggestion into a further line. */
function usageError(error: CommanderError, command: Command): UsageError {
  const [message = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = rest.join(" ").replace(/^\((.*)\)$/, "$1").trim();
  const words = lineage(command).map((level) => level.name()).join(" ");
  return new UsageError(message, { hint: suggestion === "" ? `See "${words} --help"` : suggestion, cause: error });
}

/** A command's own option hides the global one of the same name. */
function addGlobals(command: Command, help: "shown" | "hidden"): void {
  const own = new Set(command.options.map((option) => option.name()));
  for (const spec of GLOBAL_OPTIONS) {
    if (own.has(spec.name)) continue;
    command.addOption(toOption(spec).hideHelp(help === "hidden"));
    // Both mean the same thing; which of them came last counts.
    if (spec.name === "json" && !own.has("format")) {
      command.on("option:json", () => command.setOptionValue("format", "json"));
    }
  }
}

function toOption({ name, short, value, summary, choices, repeated }: OptionSpec): Option {
  const long = value === undefined ? `--${name}` : `--${name} <${value}>`;
  const option = new Option(short === undefined ? long : `-${short}, ${long}`, summary);
  if (choices !== undefined) option.choices(choices);
  if (repeated === "list") option.argParser<readonly string[]>((next, before = []) => [...before, next]);
  return option;
}

function toArgument({ name, summary, count }: ArgumentSpec): Argument {
  const word = count === "many" || count === "any" ? `${name}...` : name;
  return new Argument(count === "one" || count === "many" ? `<${word}>` : `[${word}]`, summary);
}

function inputOf(command: Command, spec: CommandSpec): Input {
  const words: readonly unknown[] = command.processedArgs;
  return new Input({
    arguments: new Map((spec.arguments ?? []).map(({ name }, index) => [name, words[index]])),
    options: valuesOf(command, spec.options ?? []),
  });
}

/** From the outermost word inwards, so that what stands later wins; lists are joined. */
function globalsOf(command: Command, spec: CommandSpec): GivenGlobals {
  const own = new Set(spec.options?.map(({ name }) => name));
  const given = new Map<string, unknown>();
  for (const level of lineage(command)) {
    for (const [name, value] of valuesOf(level, GLOBAL_OPTIONS)) {
      if (value === undefined || (level === command && own.has(name))) continue;
      const before = given.get(name);
      given.set(name, Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value);
    }
  }
  return given;
}

function lineage(command: Command): Command[] {
  return command.parent === null ? [command] : [...lineage(command.parent), command];
}

function valuesOf(command: Command, specs: readonly OptionSpec[]): Map<string, unknown> {
  const options = new Map(command.options.map((option) => [option.name(), option]));
  return new Map(specs.flatMap(({ name }) => {
    const option = options.get(name);
    return option === undefined ? [] : [[name, command.getOptionValue(option.attributeName())] as const];
  }));
}
