// SPDX-License-Identifier: Apache-2.0
/**
 * `strata gc`.
 *
 * @module
 */
import type { GcOutcome } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";

/** Removes what nothing needs. */
export const gc: CommandSpec = {
  name: "gc",
  summary: "Remove layers that nothing needs, and what ended processes left",
  description: "What crashes left of records that never came goes, too: their writable layers and data items.\n" +
    "A layer is needed by a layer or a writable layer on top, a record, an image, a mount, or a running process.\n" +
    "Prints what went: its kind, which one, and why.",
  options: [
    { name: "dry-run", summary: "only print what would go" },
    { name: "min-age", value: "SECONDS", summary: "leave what is younger; 3600 by default" },
  ],
  examples: [
    { line: "strata gc --dry-run", does: "see what would go" },
    { line: "strata gc --min-age 0", does: "when nothing else is at work" },
  ],
  exitCodes: [EXIT.conflict],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { input, output, log, signal } = invocation;
  const minAgeMs = input.parsed("min-age", parseSeconds);
  await using store = await invocation.openStore();
  const { outcomes } = await store.gc({
    mode: input.flag("dry-run") === "given" ? "plan" : "sweep",
    ...(minAgeMs === undefined ? {} : { minAgeMs }),
    signal,
  });
  const gone = outcomes.filter(({ state }) => state === "planned" || state === "removed");
  await output.lines({ key: "removed", items: gone, line: lineOf, document: documentOf });
  const failed = outcomes.filter(({ state }) => state === "failed");
  for (const { error } of failed) await log.notice("warn", error?.message ?? "");
  return failed.length === 0 ? EXIT.ok : EXIT.conflict;
}

function parseSeconds(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new SyntaxError(`"${text}" is no number of seconds`);
  return Number(text) * 1000;
}

function lineOf({ kind, subject, reason }: GcOutcome): string {
  return `${kind} ${subject} (${reason})`;
}

function documentOf({ kind, subject, reason, sizeBytes, state }: GcOutcome): object {
  return { kind, subject, reason, state, ...(sizeBytes === undefined ? {} : { size: sizeBytes }) };
}
