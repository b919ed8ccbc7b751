// SPDX-License-Identifier: Apache-2.0
/**
 * Failures as people and programs see them: one line and a hint, or one line of JSON.
 *
 * @module
 */
import { EnvironmentError, OutputFailed, UsageError } from "./errors.ts";
import { EXIT, exitCodeOf } from "./exit_codes.ts";
import { strataIfLoaded } from "./strata.ts";

/** A failure, ready to be shown. */
export interface Failure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  /** Facts for programs. */
  readonly detail: object;
}

/** What any error means to who called the command. */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) {
    const { message, hint } = error;
    return { exitCode: EXIT.usage, code: "USAGE", message, hint, detail: {} };
  }
  if (error instanceof EnvironmentError) {
    const { message, hint } = error;
    return { exitCode: EXIT.unsupported, code: "NOT_SUPPORTED", message, hint, detail: {} };
  }
  if (error instanceof OutputFailed) return outputFailure(error);
  if (strataIfLoaded()?.isStrataError(error)) {
    const { code, message, detail } = error;
    return { exitCode: exitCodeOf(error), code, message, hint: error.hint ?? usersOf(detail), detail };
  }
  return {
    exitCode: EXIT.internal,
    code: "INTERNAL",
    message: error instanceof Error ? error.message : String(error),
    hint: "This is a fault of strata; run the command again with --log-level debug and report what it prints",
    detail: {},
  };
}

/** The failure as the one line that `--json` promises. */
export function failureDocument({ code, message, hint, detail }: Failure): object {
  return { schema: 1, error: { code, message, ...(hint === undefined ? {} : { hint }), ...detail } };
}

/** The error and its causes with their stacks, for `--log-level debug`. */
export function traceOf(error: unknown): string {
  const parts: string[] = [];
  for (let next = error; next !== undefined; next = next instanceof Error ? next.cause : undefined) {
    parts.push(next instanceof Error ? next.stack ?? next.message : String(next));
  }
  return parts.join("\ncaused by: ");
}

function outputFailure({ message, errno }: OutputFailed): Failure {
  const [code, exitCode] = errno === "ENOSPC" ? ["NO_SPACE", EXIT.noSpace] : ["IO", EXIT.unsupported];
  return { exitCode, code, message, hint: "What was printed so far is not complete", detail: { errno } };
}

function usersOf(detail: object): string | undefined {
  if (!("usedBy" in detail) || !Array.isArray(detail.usedBy) || detail.usedBy.length === 0) return undefined;
  return `Used by ${detail.usedBy.join(", ")}`;
}
