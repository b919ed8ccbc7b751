// SPDX-License-Identifier: Apache-2.0
/**
 * `strata name`.
 *
 * @module
 */
import type { NameChange } from "../../../mod.ts";
import type { CommandBranch, CommandSpec, Example } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { RECORD_ARGUMENT, recordOf, requireNoIds } from "../record_refs.ts";

/** Names of records. */
export const name: CommandBranch = {
  name: "name",
  summary: "Change the names of a layer",
  commands: [
    nameCommand("add", "add", {
      summary: "Give a layer further names",
      example: { line: "strata name add base debian:13", does: "a second name" },
    }),
    nameCommand("set", "set", {
      summary: "Give a layer these names instead of those it has",
      example: { line: "strata name set base debian", does: "the only name from now on" },
    }),
    nameCommand("rm", "remove", {
      summary: "Take names from a layer",
      example: { line: "strata name rm base debian:13", does: "take one name away" },
    }),
  ],
};

function nameCommand(
  verb: string,
  how: NameChange["how"],
  { summary, example }: { readonly summary: string; readonly example: Example },
): CommandSpec {
  return {
    name: verb,
    summary,
    arguments: [
      RECORD_ARGUMENT,
      { name: "NAME", summary: "a name", count: "many" },
    ],
    examples: [example],
    exitCodes: [EXIT.notFound],
    run: (invocation) => run(invocation, how),
  };
}

async function run(invocation: Invocation, how: NameChange["how"]): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const { id } = await recordOf(store, input.word("REF"));
  if (how !== "remove") await requireNoIds(store, input.words("NAME"));
  const { names } = await store.catalog.changeNames(id, { how, names: input.words("NAME") });
  await output.value(names.join("\n"), { id, names });
}
