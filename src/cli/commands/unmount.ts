// SPDX-License-Identifier: Apache-2.0
/**
 * `strata unmount`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";

/** Gives a mount up. */
export const unmount: CommandSpec = {
  name: "unmount",
  aliases: ["umount"],
  summary: "Give up a mount; the last one unmounts",
  description: 'Prints "mounted N" when N mounts are left, else nothing.',
  arguments: [{ name: "REF", summary: "a writable layer's name, a layer, or the path of a mount", count: "one" }],
  options: [{ name: "force", summary: "give up all mounts of it, whoever made them" }],
  examples: [
    { line: "strata unmount work", does: "by name" },
    { line: 'strata unmount "$PWD"', does: "by path" },
  ],
  exitCodes: [EXIT.notFound],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const left = await store.unmount(input.word("REF"), { release: input.flag("force") === "given" ? "all" : "one" });
  await output.value(left === 0 ? "" : `mounted ${left}`, { mounted: left });
}
