// SPDX-License-Identifier: Apache-2.0
/**
 * `strata changes`.
 *
 * @module
 */
import type { Change, ChangeKind } from "../../../mod.ts";
import type { ArgumentSpec, CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { documentPath, pathBytes } from "../path_bytes.ts";
import { interruptible } from "../signals.ts";
import { loadStrata, type Strata } from "../strata.ts";

/** Docker's letters. */
const LETTERS: Readonly<Record<ChangeKind, string>> = { add: "A", modify: "C", delete: "D" };

/** What a comparison is about. */
export const COMPARED: readonly ArgumentSpec[] = [
  { name: "REF", summary: "a layer or a writable layer", count: "one" },
  { name: "FROM", summary: "what it is compared with; its parent when absent", count: "optional" },
];

/** Lists changed paths. */
export const changes: CommandSpec = {
  name: "changes",
  summary: "List what a layer changes of its parent, or of another layer",
  description:
    "Prints A, C or D (added, changed, deleted) and the path, sorted bytewise. Names are printed as the bytes that\n" +
    'they are; only control characters are shown as "\\xNN".',
  arguments: COMPARED,
  examples: [
    { line: "strata changes work", does: "what was done in it so far" },
    { line: "strata changes top base", does: "how two layers differ" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output, signal } = invocation;
  const strata = await loadStrata();
  await using store = await invocation.openStore();
  const changed = store.changes(input.word("REF"), input.optionalWord("FROM"));
  await output.lines({
    key: "changes",
    items: await interruptible(signal, changed),
    line: (change) => lineOf(strata, change),
    document: ({ kind, path }) => ({ kind, ...documentPath(strata, path) }),
  });
}

function lineOf(strata: Strata, { kind, path }: Change): Uint8Array {
  return pathBytes(strata, path, { before: `${LETTERS[kind]} `, after: "\n" });
}
