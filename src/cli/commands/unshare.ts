// SPDX-License-Identifier: Apache-2.0
/**
 * `strata unshare`.
 *
 * @module
 */
import type { CommandSpec, Handover } from "../command.ts";
import type { Invocation } from "../invocation.ts";
import { handover } from "../namespace.ts";

/** Runs a command where an ordinary user may mount. */
export const unshare: CommandSpec = {
  name: "unshare",
  summary: "Run a command, or a shell, in a user namespace, where an ordinary user may mount overlays",
  description: `What is mounted inside is seen inside only, and ends with the command. The user is root there, and all
commands of strata inside use the store that this one names. Ids that /etc/subuid and /etc/subgid give the user can own
files; without any, only the user can. The exit code is the command's, which is killed when this one is. For root, the
command is just run.`,
  arguments: [{ name: "CMD", summary: "the command and its arguments; without it, $SHELL", count: "any" }],
  examples: [
    { line: "strata unshare", does: "a shell in which strata mount works" },
    { line: `strata unshare sh -c 'ls "$(strata mount base)"'`, does: "look into a layer" },
  ],
  trailingOptions: "own",
  namespace: "none",
  run,
};

async function run(invocation: Invocation): Promise<Handover> {
  const { input, io } = invocation;
  const words = input.words("CMD");
  return await handover(invocation, words.length > 0 ? words : [io.env["SHELL"] || "/bin/sh"]);
}
