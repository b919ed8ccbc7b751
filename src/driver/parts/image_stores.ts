// SPDX-License-Identifier: Apache-2.0
/**
 * Further stores to read from. containers/storage gives them to drivers, as the option `imagestore`; here they are the
 * store's, which reads the records of each root beside its layers.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";

/**
 * Refuses a driver's option that names further stores, separated by commas.
 * @throws {StrataError} `INVALID_ARGUMENT`, with what to give instead
 */
export function refuseImageStores(name: string, roots: string): never {
  const instead = roots.split(",").map((root) => `--read-only-root ${root}`).join(" ");
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the option "${name}": stores to read from are not the driver's to know; give "${instead}" instead, or ` +
      "`readOnlyRoots` in the library",
    { argument: "options" },
  );
}
