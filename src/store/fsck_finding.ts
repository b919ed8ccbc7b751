// SPDX-License-Identifier: Apache-2.0
/**
 * Words that findings share.
 *
 * @module
 */
import type { FsckCode, FsckFinding } from "./fsck_check.ts";

/** What helps when a layer is lost. */
export const AGAIN = "register the layer again from where it came";
/** What helps when a repair loses nothing. */
export const REPAIR = `run "strata fsck --repair"`;

/** What helps when only giving it up does. */
export function removal(ref: string): string {
  return `remove it with "strata rm ${ref}"`;
}

/** What a finding is about. */
export interface FindingFacts {
  readonly path: string;
  readonly problem: string;
  readonly remedy: string;
}

/** Something is lost, and no repair brings it back. */
export function damage(code: FsckCode, subject: string, facts: FindingFacts): FsckFinding {
  return { code, severity: "damage", subject, ...facts, repair: "none" };
}

/** A file that has no business where it is. */
export function strayFile(subject: string, { path, problem }: Omit<FindingFacts, "remedy">): FsckFinding {
  return { code: "stray-file", severity: "info", subject, path, problem, remedy: "remove it by hand", repair: "none" };
}
