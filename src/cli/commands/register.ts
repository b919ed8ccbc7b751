// SPDX-License-Identifier: Apache-2.0
/**
 * `strata register`.
 *
 * @module
 */
import type { PutLayerOptions, RegisterProgress } from "../../../mod.ts";
import { FILE_ARGUMENT, openArchive } from "../archives.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT } from "../exit_codes.ts";
import type { Invocation } from "../invocation.ts";
import { requireDistinct } from "../record_refs.ts";
import { newRecord, putRecord, RECORD_OPTIONS } from "../records.ts";
import { loadStrata } from "../strata.ts";

/** Takes a layer in. */
export const register: CommandSpec = {
  name: "register",
  summary: "Take in a layer's tar, and print its ChainID",
  description: "How the tar is compressed is found by its bytes. A layer that is here already is not kept twice.",
  arguments: [FILE_ARGUMENT],
  options: [
    { name: "parent", value: "REF", summary: "the layer that it sits on" },
    ...RECORD_OPTIONS,
    { name: "expect-diff-id", value: "DIGEST", summary: "refuse it unless the uncompressed tar has this digest" },
    { name: "expect-digest", value: "DIGEST", summary: "refuse it unless the bytes as given have this digest" },
  ],
  examples: [
    { line: "strata register base.tar.gz --name base", does: "take in a base layer" },
    { line: "curl -L URL | strata register --parent base", does: "take in a layer on top of it" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<void> {
  const { input } = invocation;
  const expected = await expectedOf(invocation);
  const record = await newRecord(invocation);
  await using store = await invocation.openStore();
  const parent = input.text("parent");
  await requireDistinct(store, record);
  if (parent !== undefined) store.resolveChain(parent);
  const { stream: diff, sizeBytes } = await openArchive(invocation);
  await using progress = await invocation.progress({ operation: "register", totalBytes: sizeBytes });
  const onProgress = (event: RegisterProgress): void => {
    if (event.kind === "read") progress.add(event.bytes);
  };
  const layer = { diff, expected, onProgress, ...(parent === undefined ? {} : { parent }) };
  await putRecord(invocation, store, { record, layer, onDone: () => progress.succeed() });
}

async function expectedOf({ input }: Invocation): Promise<NonNullable<PutLayerOptions["expected"]>> {
  const { parseDiffId, parseDigest } = await loadStrata();
  const expectedDiffId = input.parsed("expect-diff-id", parseDiffId);
  const expectedDigest = input.parsed("expect-digest", parseDigest);
  return {
    ...(expectedDiffId === undefined ? {} : { expectedDiffId }),
    ...(expectedDigest === undefined ? {} : { expectedBlob: { digest: expectedDigest } }),
  };
}
