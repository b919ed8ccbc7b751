// SPDX-License-Identifier: Apache-2.0
/**
 * A process that runs command lines, one after the other, for a user that the test is not. They come as lines of JSON on
 * standard input; how each ended goes to standard output, likewise.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { runCli } from "./run_cli.ts";

/** A command line to be run. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** What is on its standard input, in base64. */
  readonly stdin?: string;
}

/** How a command line ended. */
export interface CommandEnd {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

process.umask(0o022);
let input = "";
process.stdin.setEncoding("utf8");
for await (const text of process.stdin) input += text;
for (const line of input.split("\n").filter((each) => each !== "")) {
  const { args, env, stdin = "" }: CommandLine = JSON.parse(line);
  const { code, stdout, stderr } = await runCli(args, { env, stdin: Buffer.from(stdin, "base64") });
  const end: CommandEnd = { code, stdout, stderr };
  process.stdout.write(`${JSON.stringify(end)}\n`);
}
