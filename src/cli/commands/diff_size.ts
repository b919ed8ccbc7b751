// SPDX-License-Identifier: Apache-2.0
/**
 * `strata diffsize`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { interruptible } from "../signals.ts";
import { COMPARED } from "./changes.ts";

/** Measures what changed. */
export const diffSize: CommandSpec = {
  name: "diffsize",
  summary: "Print the bytes of the files that a layer adds or changes",
  description: "Hard links of one file count once.",
  arguments: COMPARED,
  examples: [{ line: "strata diffsize work", does: "how much a commit would add" }],
  exitCodes: [EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output, signal } = invocation;
  await using store = await invocation.openStore();
  const size = await interruptible(signal, store.diffSize(input.word("REF"), input.optionalWord("FROM")));
  await output.value(String(size), { diffSize: size });
}
