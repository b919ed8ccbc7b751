// SPDX-License-Identifier: Apache-2.0
/**
 * `strata exists`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { loadStrata } from "../strata.ts";

/** Answers by its exit code. */
export const exists: CommandSpec = {
  name: "exists",
  summary: "Exit with 0 when a layer exists, and with 1 when not",
  description: "Of a word that fits several it cannot be said: that ends with 3, and names them.",
  arguments: [{ name: "REF", summary: "a layer or a writable layer", count: "one" }],
  examples: [{ line: "strata exists base || strata register base.tar --name base", does: "register it once" }],
  exitCodes: [EXIT.negative, EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { hasCode } = await loadStrata();
  await using store = await invocation.openStore();
  try {
    store.resolve(invocation.input.word("REF"));
    return EXIT.ok;
  } catch (error) {
    if (hasCode(error, "NOT_FOUND")) return EXIT.negative;
    throw error;
  }
}
