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
import { loadStrata } from "../strata.ts";

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
      { name: "REF", summary: "the layer", count: "one" },
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
  const ref = input.word("REF");
  const [id, ...others] = store.resolve(ref).recordIds;
  if (id === undefined || others.length > 0) throw await notOneRecord(ref, others.length);
  const record = await store.catalog.changeNames(id, { how, names: input.words("NAME") });
  await output.value(record.names.join("\n"), { id: record.id, names: record.names });
}

async function notOneRecord(ref: string, further: number): Promise<Error> {
  const { StrataError } = await loadStrata();
  if (further > 0) {
    const message = `Cannot change the names of "${ref}": ${
      further + 1
    } records stand for this layer; give the id of one`;
    return new StrataError("INVALID_ARGUMENT", message, { argument: "REF" });
  }
  return new StrataError(
    "NOT_FOUND",
    `Cannot change the names of "${ref}": it has no record; names belong to records, which "strata register" makes`,
    { kind: "record", ref },
  );
}
