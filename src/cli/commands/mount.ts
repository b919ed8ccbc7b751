// SPDX-License-Identifier: Apache-2.0
/**
 * `strata mount`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";

/** Mounts. */
export const mount: CommandSpec = {
  name: "mount",
  summary: "Mount a writable layer, or a layer for reading, and print the path",
  description: `Counted: each call is to be matched by one "strata unmount".

An ordinary user can mount overlays in a user namespace only, and what is mounted there is seen there only: run
"strata unshare" first, and mount in its shell.`,
  namespace: "lasting",
  arguments: [{ name: "REF", summary: "a writable layer's name, or a layer", count: "one" }],
  options: [
    { name: "read-only", summary: "mount a writable layer so that it cannot be written" },
    { name: "options", value: "LIST", repeated: "list", summary: "further options for mount(8), apart by commas" },
  ],
  examples: [
    { line: 'cd "$(strata mount work)"', does: "work in it" },
    { line: "strata mount base --options noexec,nosuid", does: "look at a layer with care" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const options = input.list("options").flatMap((list) => list.split(",")).filter((option) => option !== "");
  const path = await store.mount(input.word("REF"), {
    ...(input.flag("read-only") === "given" ? { access: "read-only" } as const : {}),
    ...(options.length === 0 ? {} : { options }),
  });
  await output.value(path, { path });
}
