// SPDX-License-Identifier: Apache-2.0
/**
 * Telling, once a command, what of an archive could not be set on disk: the end of `register`, `commit` and `load`; and what
 * of a tree an archive cannot hold: the end of `diff` and `commit`.
 *
 * @module
 */
import type { DroppedAttribute, PackReport } from "../../mod.ts";
import type { Log } from "./log.ts";

/** What could not be set: how much, and the first of it. */
export interface Dropped {
  /** How many. */
  readonly count: number;
  /** The first ones; may be empty where there are some. */
  readonly listed: readonly DroppedAttribute[];
}

/** Warns when something is not in an archive. */
export async function warnOfSkipped(log: Log, report: PackReport | undefined): Promise<void> {
  if (report === undefined || report.skippedCount === 0) return;
  const { skippedCount, skipped: [first] } = report;
  const what = skippedCount === 1 ? "1 thing was" : `${skippedCount} things were`;
  const example = first === undefined ? "" : ` (first: ${first.attribute} of "${first.entry}": ${first.reason})`;
  await log.notice("warn", `${what} left out${example}; the writable layer still has all`);
}

/** Warns when something could not be set. */
export async function warnOfDropped(log: Log, { count, listed: [first] }: Dropped): Promise<void> {
  if (count === 0) return;
  const what = count === 1 ? "1 attribute" : `${count} attributes`;
  const example = first === undefined ? "" : ` (first: ${first.attribute} of "${first.entry}": ${first.reason})`;
  const holds = count === 1 ? "the export holds it" : "exports hold them";
  const lists = `"strata inspect" lists ${count === 1 ? "it" : "them"}`;
  await log.notice("warn", `${what} could not be set here${example}; ${holds}, and ${lists}`);
}
