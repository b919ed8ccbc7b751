// SPDX-License-Identifier: Apache-2.0
/**
 * `strata diff`.
 *
 * @module
 */
import { ARCHIVE_OPTIONS, archiveTarget, sendArchive } from "../archives.ts";
import type { PackReport } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { warnOfSkipped } from "../dropped.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { COMPARED } from "./changes.ts";

/** Packs what changed. */
export const diff: CommandSpec = {
  name: "diff",
  summary: "Pack what a layer changes of its parent, or of another layer, as a tar",
  description: "The members are sorted: the same tree gives the same bytes on every driver and machine.",
  arguments: COMPARED,
  options: ARCHIVE_OPTIONS,
  examples: [
    { line: "strata diff work -o change.tar", does: "into a file, which appears when it is whole" },
    { line: "strata diff work | tar -tv", does: "look at it" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, log } = invocation;
  const to = archiveTarget(invocation);
  await using store = await invocation.openStore();
  let report: PackReport | undefined;
  const onEnd = (packed: PackReport) => void (report = packed);
  const stream = store.diff(input.word("REF"), input.optionalWord("FROM"), { onEnd });
  await sendArchive(invocation, { stream, to, operation: "diff" });
  await warnOfSkipped(log, report);
}
