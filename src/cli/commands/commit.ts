// SPDX-License-Identifier: Apache-2.0
/**
 * `strata commit`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { RECORD_OPTIONS, recordLayer, recordOptions } from "../records.ts";

/** Makes a layer of what changed. */
export const commit: CommandSpec = {
  name: "commit",
  summary: "Register what a writable layer changes as a layer, and print its ChainID",
  description: "The writable layer stays as it is.",
  arguments: [{ name: "NAME", summary: "the writable layer", count: "one" }],
  options: RECORD_OPTIONS,
  examples: [{ line: "strata commit work --name changed", does: "a layer on the parent of work" }],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, signal } = invocation;
  await using store = await invocation.openStore();
  store.catalog.requireFree(recordOptions(invocation));
  const layer = await store.commit(input.word("NAME"), { signal });
  await recordLayer(invocation, store, layer);
}
