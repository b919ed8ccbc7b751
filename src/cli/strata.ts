// SPDX-License-Identifier: Apache-2.0
/**
 * The library, loaded when a command needs it: `--help` and `--version` bind no C library and start at once.
 *
 * @module
 */
import { EnvironmentError } from "./errors.ts";

/** The library's public module. */
export type Strata = typeof import("../../mod.ts");

let loaded: Strata | undefined;

/**
 * The library.
 * @throws {EnvironmentError} when this machine or runtime cannot load it
 */
export async function loadStrata(): Promise<Strata> {
  try {
    return loaded ??= await import("../../mod.ts");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EnvironmentError(`Cannot load the library: ${reason}`, {
      cause,
      hint: "Use Deno 2.9 or Node 20 or later on Linux or macOS, with the optional packages of koffi installed",
    });
  }
}

/** The library if a command has loaded it. An error from it cannot exist before. */
export function strataIfLoaded(): Strata | undefined {
  return loaded;
}
