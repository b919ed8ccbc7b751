// SPDX-License-Identifier: Apache-2.0
/**
 * What help says beyond arguments and options: examples, exit codes, what a REF is.
 *
 * @module
 */
import type { CommandSpec } from "./command.ts";
import { EXIT, EXIT_MEANINGS } from "./exit_codes.ts";

/** Every command that opens a store may end so. */
const ALWAYS: readonly number[] = [EXIT.ok, EXIT.usage, EXIT.conflict, EXIT.unsupported];

/** The end of the program's help. */
export function programHelp(): string {
  return `
A REF names a layer: the id or a name of its record, its ChainID, or a prefix of an id or of a ChainID's
hex digits that fits one layer only; names are given whole. What is in the store itself comes before what is
in a --read-only-root.
Global options may stand before and after the command; the later wins.
Data goes to standard output and all else to standard error. "-" is standard input or output. When the
reader of the output goes away, as in "strata layers | head", the command ends quietly with 0.

${exitCodeHelp([...EXIT_MEANINGS.keys()])}
Examples:
  strata register layer.tar.gz --name base       take a layer in
  strata create work --parent base               put a writable layer on it
  cd "$(strata mount work)"                      and work in it
  strata commit work --name changed              make a layer of what was changed
  strata export changed -o changed.tar           and give its tar out
`;
}

/** The end of a command's help. */
export function commandHelp({ examples, exitCodes = [] }: CommandSpec): string {
  const width = Math.max(...examples.map(({ line }) => line.length));
  const lines = examples.map(({ line, does }) => `  ${line.padEnd(width)}   ${does}`);
  const codes = [...new Set([...ALWAYS, ...exitCodes])].sort((a, b) => a - b);
  return `
Examples:
${lines.join("\n")}

${exitCodeHelp(codes)}
Global options, such as --root and --json, work here too: see "strata --help".
`;
}

function exitCodeHelp(codes: readonly number[]): string {
  const lines = codes.map((code) => `  ${String(code).padEnd(4)} ${EXIT_MEANINGS.get(code) ?? ""}`);
  return `Exit codes:\n${lines.join("\n")}\n`;
}
