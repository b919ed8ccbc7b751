// SPDX-License-Identifier: Apache-2.0
/**
 * Options of the vfs driver.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { type ChownErrors, parseChownErrors } from "../ownership.ts";

/** What the user asked of this driver. */
export interface VfsOptions {
  /** Absent: as this process's user namespace suggests. */
  readonly chownErrors?: ChownErrors;
}

/**
 * The driver's options: `vfs.ignore_chown_errors`.
 * @throws {StrataError} `INVALID_ARGUMENT` for an unknown option
 */
export function parseVfsOptions(options: Readonly<Record<string, string>>): VfsOptions {
  let chownErrors: ChownErrors | undefined;
  for (const [name, value] of Object.entries(options)) {
    if (name.toLowerCase() !== "vfs.ignore_chown_errors") {
      throw new StrataError(
        "INVALID_ARGUMENT",
        `Cannot use the option "${name}": driver "vfs" has no such option; it has "vfs.ignore_chown_errors"`,
        { argument: "options" },
      );
    }
    chownErrors = parseChownErrors(name, value);
  }
  return chownErrors === undefined ? {} : { chownErrors };
}
