// SPDX-License-Identifier: Apache-2.0
/**
 * `strata apply`.
 *
 * @module
 */
import { FILE_ARGUMENT, openArchive } from "../archives.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";

/** Applies a tar. */
export const apply: CommandSpec = {
  name: "apply",
  summary: "Apply a layer's tar to a writable layer, and print the bytes it brought",
  description: "The tar is unpacked beside the layer first: a bad one changes nothing.",
  arguments: [{ name: "NAME", summary: "the writable layer", count: "one" }, FILE_ARGUMENT],
  examples: [{ line: "strata diff other | strata apply work", does: "repeat in work what was done in other" }],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input, output, signal } = invocation;
  await using store = await invocation.openStore();
  const ref = input.word("NAME");
  const target = store.resolve(ref);
  const [record, ...others] = target.recordIds;
  const { stream, sizeBytes } = await openArchive(invocation);
  await using progress = await invocation.progress({ operation: "apply", totalBytes: sizeBytes });
  const options = { signal, onProgress: (bytes: number) => progress.add(bytes) };
  const size = target.kind === "writable" && record === undefined
    ? await store.applyDiff(target.record.name, stream, options)
    : await store.catalog.applyDiff(others.length > 0 ? ref : record ?? ref, stream, options);
  await progress.succeed();
  await output.value(String(size), { size });
}
