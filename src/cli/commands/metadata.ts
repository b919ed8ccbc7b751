// SPDX-License-Identifier: Apache-2.0
/**
 * `strata metadata`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { RECORD_ARGUMENT, recordOf } from "../record_refs.ts";
import { fileOption, openInput, readText, STANDARD } from "../text_input.ts";

const WHAT = "the text";

/** Prints or replaces a record's text. */
export const metadata: CommandSpec = {
  name: "metadata",
  summary: "Print the text that is kept with a layer, or replace it",
  description: 'What the text means is the caller\'s own. "" takes it away.',
  arguments: [
    RECORD_ARGUMENT,
    { name: "TEXT", summary: 'the new text; "-" reads it from standard input', count: "optional" },
  ],
  options: [fileOption('read the new text from there; "-" is standard input')],
  examples: [
    { line: "strata metadata base", does: "print it" },
    { line: "strata metadata base 'built by ci'", does: "set it" },
    { line: "strata metadata base -f notes.json", does: "set it from a file" },
    { line: 'strata metadata base ""', does: "take it away" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  const given = await newText(invocation);
  await using store = await invocation.openStore();
  const { id, metadata: before } = await recordOf(store, input.word("REF"));
  if (given === undefined) return await output.value(before, { id, metadata: before });
  const { metadata } = await store.catalog.setMetadata(id, given);
  await output.value("", { id, metadata });
}

/** Absent: the text is asked for. */
async function newText(invocation: Invocation): Promise<string | undefined> {
  const { input } = invocation;
  const [text, file] = [input.optionalWord("TEXT"), input.text("file")];
  if (text !== undefined && file !== undefined) {
    throw new UsageError("Cannot set the text from TEXT and from --file: give one of the two");
  }
  const from = text === STANDARD ? STANDARD : file;
  return from === undefined ? text : await readText(await openInput(invocation, from, WHAT), WHAT);
}
