// SPDX-License-Identifier: Apache-2.0
/**
 * `strata flag`.
 *
 * @module
 */
import type { CommandBranch } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { parseJsonValue } from "../json_value.ts";
import { RECORD_ARGUMENT, recordOf } from "../record_refs.ts";

const KEY = { name: "KEY", summary: "the flag's name", count: "one" } as const;
const exitCodes = [EXIT.notFound, EXIT.refused, EXIT.noSpace];

/** Flags of records. */
export const flag: CommandBranch = {
  name: "flag",
  summary: "Set a flag of a layer, or take it away",
  commands: [
    {
      name: "set",
      summary: "Set a flag of a layer, and print its value",
      description: '"strata inspect" lists the flags.',
      arguments: [
        RECORD_ARGUMENT,
        KEY,
        { name: "JSON", summary: "any JSON value; true when absent", count: "optional" },
      ],
      examples: [
        { line: "strata flag set base incomplete", does: "the flag is true" },
        { line: "strata flag set base stage '\"test\"'", does: "a text, which JSON has in double quotes" },
        { line: "strata flag set base owner '{\"team\":7}'", does: "more than one value" },
      ],
      exitCodes,
      run: set,
    },
    {
      name: "clear",
      summary: "Take a flag from a layer",
      description: "One that is not set is no error.",
      arguments: [RECORD_ARGUMENT, KEY],
      examples: [{ line: "strata flag clear base incomplete", does: "the flag is gone" }],
      exitCodes,
      run: clear,
    },
  ],
};

async function set(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  const key = input.word("KEY");
  const text = input.optionalWord("JSON");
  const value = text === undefined ? true : parseJsonValue(text, `flag ${JSON.stringify(key)}`);
  await using store = await invocation.openStore();
  const { id } = await recordOf(store, input.word("REF"));
  const { flags } = await store.catalog.setFlag(id, key, value);
  await output.value(JSON.stringify(value), { id, key, value, flags });
}

async function clear(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const { id } = await recordOf(store, input.word("REF"));
  const { flags } = await store.catalog.clearFlag(id, input.word("KEY"));
  await output.value("", { id, flags });
}
