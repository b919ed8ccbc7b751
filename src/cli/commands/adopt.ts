// SPDX-License-Identifier: Apache-2.0
/**
 * `strata adopt`.
 *
 * @module
 */
import { resolve } from "node:path";
import type { AdoptReport, FailedRecord } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import { failureOf } from "../failure.ts";
import type { Invocation } from "../invocation.ts";

/** Copies layers of another store. */
export const adopt: CommandSpec = {
  name: "adopt",
  summary: "Copy layers of another store, with their records, into this one",
  description:
    "The other store is Strata's, Docker's, or that of podman and its like, and is only read. Every digest is computed\n" +
    "again. Prints what became of each record: adopted, present or skipped. One that cannot come keeps no other back,\n" +
    "and then the exit code is that of the first failure.",
  arguments: [{ name: "REF", summary: "a layer there", count: "any" }],
  options: [
    { name: "from", value: "DIR", summary: "the root of the other store" },
    { name: "all", summary: "everything that it has" },
  ],
  examples: [
    { line: "strata adopt --from /var/lib/docker --all", does: "all layers of Docker" },
    { line: "strata adopt --from /mnt/shelf base", does: "one record, and what its layer lies on" },
  ],
  exitCodes: [EXIT.notFound, EXIT.refused, EXIT.noSpace],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { output, log, globals, signal } = invocation;
  const { from, refs } = request(invocation);
  await using store = await invocation.openStore();
  await using progress = await invocation.progress({ operation: "adopt" });
  const report = await store.adopt({ from, refs, signal, onProgress: ({ bytes }) => progress.add(bytes) });
  await progress.succeed();
  for (const { id, droppedNames } of report.adopted) {
    if (droppedNames.length === 0) continue;
    await log.notice(
      "warn",
      `${id} came without ${droppedNames.join(", ")}: a record here has it, or it can be no name`,
    );
  }
  await output.value(globals.volume === "quiet" ? idsOf(report) : linesOf(report), documentOf(report));
  const failures = report.failed.map(({ error }) => failureOf(error));
  for (const failure of failures) await log.failure(failure);
  return failures[0]?.exitCode ?? EXIT.ok;
}

function request({ input }: Invocation): { readonly from: string; readonly refs: readonly string[] | "all" } {
  const [from, refs, all] = [input.text("from"), input.words("REF"), input.flag("all") === "given"];
  if (from === undefined) throw new UsageError("Cannot adopt from nowhere: give the other store's root with --from");
  if (all && refs.length > 0) throw new UsageError("Cannot adopt all and some: give --all or REF, not both");
  if (!all && refs.length === 0) throw new UsageError("Cannot adopt nothing: give --all, or what is to be copied");
  return { from: resolve(from), refs: all ? "all" : refs };
}

function idsOf({ adopted }: AdoptReport): string {
  return adopted.map(({ id }) => id).join("\n");
}

function linesOf({ adopted, present, skipped, failed }: AdoptReport): string {
  return [
    ...adopted.map(({ id, names }) => ["adopted", id, ...names].join(" ")),
    ...present.map(({ id }) => `present ${id}`),
    ...skipped.map(({ id, reason }) => `skipped ${id} (${reason})`),
    // Why, standard error tells.
    ...failed.map(({ id, error }) => `failed ${id} (${error.code})`),
  ].join("\n");
}

function documentOf({ failed, ...report }: AdoptReport): object {
  return { ...report, failed: failed.map(failedDocument) };
}

function failedDocument({ id, error }: FailedRecord): object {
  const { code, message, detail } = failureOf(error);
  return { id, error: { code, message, ...detail } };
}
