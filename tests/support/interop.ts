// SPDX-License-Identifier: Apache-2.0
/**
 * What tests against other implementations need: their programs, and the corpus of their results.
 *
 * Where something is missing the tests are skipped and say why; with `STRATA_INTEROP=required` they fail instead.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** Options of a test; `skip` says what is missing. */
export interface InteropOptions {
  readonly skip: string | false;
}

/**
 * Options for tests that run other programs.
 * @throws {Error} when one is missing although `STRATA_INTEROP=required`
 */
export function needsPrograms(...programs: string[]): InteropOptions {
  const missing = programs.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  return unlessMissing(missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`);
}

/**
 * Options for tests that read a folder of {@link sharedFolder}.
 * @throws {Error} when it is missing although `STRATA_INTEROP=required`
 */
export function needsFolder(path: string): InteropOptions {
  return unlessMissing(existsSync(path) ? undefined : `no folder "${path}"; set STRATA_SHARED to where it lies`);
}

/**
 * Options for tests on a real image that compare with other programs, as root: `STRATA_REAL_IMAGE` names a directory
 * that holds it in three formats, as `image.docker.tar`, `image.oci` and `image.oci.tar`.
 * @throws {Error} when something is missing although `STRATA_INTEROP=required`
 */
export function needsRealImage(...programs: string[]): InteropOptions {
  if (process.geteuid?.() !== 0) return unlessMissing("mounting and owners need root");
  if (process.env["STRATA_REAL_IMAGE"] === undefined) {
    return unlessMissing("STRATA_REAL_IMAGE does not name a directory with a real image");
  }
  return needsPrograms(...programs);
}

/** A path in the folder that lies beside the repository, or where `STRATA_SHARED` says. */
export function sharedFolder(path: string): string {
  const shared = process.env["STRATA_SHARED"] ?? fileURLToPath(new URL("../../../shared", import.meta.url));
  return `${shared}/${path}`;
}

/**
 * Options that skip a test when there is a reason to.
 * @throws {Error} when there is one although `STRATA_INTEROP=required`
 */
export function unlessMissing(reason: string | undefined): InteropOptions {
  if (reason === undefined) return { skip: false };
  if (process.env["STRATA_INTEROP"] === "required") throw new Error(`Cannot run the interop tests: ${reason}`);
  return { skip: reason };
}
