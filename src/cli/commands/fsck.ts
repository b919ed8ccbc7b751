// SPDX-License-Identifier: Apache-2.0
/**
 * `strata fsck`.
 *
 * @module
 */
import type { FsckFinding, FsckOptions } from "../../../mod.ts";
import type { CommandSpec } from "../command.ts";
import { UsageError } from "../errors.ts";
import { EXIT } from "../exit_codes.ts";
import type { Input } from "../input.ts";
import type { Invocation } from "../invocation.ts";

/** Looks for damage, and repairs what it can. */
export const fsck: CommandSpec = {
  name: "fsck",
  summary: "Check the store, and repair it if asked to",
  description:
    'Prints "clean", or a line for each finding: how bad it is, what it is, where, and what helps. Garbage that\n' +
    "ended processes left is no damage. Without --repair nothing is changed.",
  options: [
    { name: "full", summary: "rebuild every layer's tar as well, as verify does, and read data items" },
    { name: "repair", summary: "put right what can be without giving anything up" },
    { name: "force", summary: "with --repair: also move damaged records aside, and give damaged data items up" },
  ],
  examples: [
    { line: "strata fsck", does: "a quick check" },
    { line: "strata fsck --full --repair", does: "a thorough one, and repairs" },
  ],
  exitCodes: [EXIT.negative],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { input, output, log, signal } = invocation;
  const repair = repairOf(input);
  await using store = await invocation.openStore();
  const depth = input.flag("full") === "given" ? "contents" : "records";
  const { state, findings, repaired } = await store.fsck({ depth, repair, signal });
  for (const { subject, path } of repaired) await log.notice("info", `Repaired ${subject}: ${path}`);
  if (findings.length === 0) await output.value("clean", { state, findings: [], repaired: repaired.map(documentOf) });
  else await output.lines({ key: "findings", items: findings, line: lineOf, document: documentOf });
  return state === "clean" ? EXIT.ok : EXIT.negative;
}

function repairOf(input: Input): NonNullable<FsckOptions["repair"]> {
  const force = input.flag("force") === "given";
  if (input.flag("repair") === "given") return force ? "forced" : "safe";
  if (force) throw new UsageError("Cannot use --force alone: it says how --repair is done; give both");
  return "none";
}

function lineOf({ severity, code, subject, path, problem, remedy }: FsckFinding): string {
  return `${severity} ${code} ${subject} ${path}: ${problem.replace(/\s+/g, " ")}; ${remedy}`;
}

function documentOf({ severity, code, subject, path, problem, remedy, repair }: FsckFinding): object {
  return { severity, code, subject, path, problem, remedy, repair };
}
