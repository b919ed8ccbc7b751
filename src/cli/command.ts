// SPDX-License-Identifier: Apache-2.0
/**
 * What a command is: data, from which the parser, the help, the completion and the manual are made, and one function.
 *
 * @module
 */
import type { Invocation } from "./invocation.ts";

/** The headings under which help lists commands. */
export type CommandGroup = "Layers" | "Writable layers and mounts" | "Images" | "Upkeep and insight";

/** A word after the command. */
export interface ArgumentSpec {
  /** In capitals, as help shows it. */
  readonly name: string;
  readonly summary: string;
  /** How many there may be; `many` is one at least. Only the last may be `many`. */
  readonly count: "one" | "optional" | "many" | "any";
}

/** An option. */
export interface OptionSpec {
  /** Without the dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly summary: string;
  /** What its value is called in help. Absent: the option is a flag. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** `list`: it may be given again, and all values count. Otherwise the last one does. */
  readonly repeated?: "list";
}

/** A command line that works, and what it does. */
export interface Example {
  readonly line: string;
  readonly does: string;
}

/** The rest of a command, left to another program: it gets the terminal, the streams and the signals. */
export interface Handover {
  /** Runs the program, and gives its exit code. */
  run(): Promise<number>;
}

/** What leaves and branches of the command table share. */
interface CommandBase {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** One line, without a full stop. */
  readonly summary: string;
}

/** A command that does something. */
export interface CommandSpec extends CommandBase {
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** What help adds to the summary. */
  readonly description?: string;
  readonly examples: readonly Example[];
  /** Exit codes beside those that every command may end with. */
  readonly exitCodes?: readonly number[];
  /** `own`: options after the first argument are that argument's, as for a command that is run. */
  readonly trailingOptions?: "own";
  /**
   * What it needs where only a user namespace can have the store's mounts: `any` (the default), if need be one that ends
   * with the command; `lasting`, one that stays, which the user must enter; `none`.
   */
  readonly namespace?: "any" | "lasting" | "none";
  /** Does it, and gives the exit code if it is not 0, or leaves the rest to another program. */
  run(invocation: Invocation): Promise<number | Handover | void>;
}

/** A word that only leads to commands, as `name` in `name add`. */
export interface CommandBranch extends CommandBase {
  readonly commands: readonly CommandSpec[];
}

/** An entry of the command table. */
export type TopCommand = (CommandSpec | CommandBranch) & { readonly group: CommandGroup };
