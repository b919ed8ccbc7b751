// SPDX-License-Identifier: Apache-2.0
/**
 * `strata commit`.
 *
 * @module
 */
import type { PackReport } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { warnOfSkipped } from "../dropped.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { requireDistinct } from "../record_refs.ts";
import { newRecord, putRecord, RECORD_OPTIONS } from "../records.ts";
import { loadStrata } from "../strata.ts";

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
  const { input, log, signal } = invocation;
  const record = await newRecord(invocation);
  await using store = await invocation.openStore();
  const name = input.word("NAME");
  const target = store.resolve(name);
  if (target.kind === "layer") throw await notWritable(name);
  await requireDistinct(store, record);
  const { parent } = target.record;
  let report: PackReport | undefined;
  const diff = store.diff(name, undefined, { signal, onEnd: (packed) => void (report = packed) });
  await putRecord(invocation, store, { record, layer: { diff, ...(parent === undefined ? {} : { parent }) } });
  await warnOfSkipped(log, report);
}

async function notWritable(name: string): Promise<Error> {
  const { StrataError } = await loadStrata();
  const message =
    `Cannot commit "${name}": it is no writable layer, so nothing in it changes; "strata create" makes one`;
  return new StrataError("INVALID_ARGUMENT", message, { argument: "NAME" });
}
