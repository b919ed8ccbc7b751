// SPDX-License-Identifier: Apache-2.0
/**
 * `strata owners`.
 *
 * @module
 */
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { RECORD_ARGUMENT, recordOf } from "../record_refs.ts";

/** Tells whom a container could not see above its tree. */
export const owners: CommandSpec = {
  name: "owners",
  summary: "Print who owns the directories above a mount and has no id in its maps",
  description:
    'Prints the users after "uids:" and the groups after "gids:". A container whose maps do not hold them may not be\n' +
    "let through to its tree. A layer without maps has none.",
  arguments: [{ ...RECORD_ARGUMENT, name: "NAME", summary: "a writable layer or a layer, which is mounted" }],
  examples: [{ line: "strata owners work", does: "whom to map, or which directory to give away" }],
  exitCodes: [EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output } = invocation;
  await using store = await invocation.openStore();
  const { id } = await recordOf(store, input.word("NAME"));
  const { uids, gids } = store.catalog.parentOwners(id);
  await output.value([["uids:", ...uids], ["gids:", ...gids]].map((words) => words.join(" ")).join("\n"), {
    id,
    uids,
    gids,
  });
}
