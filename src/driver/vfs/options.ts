// SPDX-License-Identifier: Apache-2.0
/**
 * Options of the vfs driver.
 *
 * @module
 */
import { parseByteSize } from "../../core/byte_size.ts";
import { StrataError } from "../../core/errors.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { refuseImageStores } from "../parts/image_stores.ts";
import { type ChownErrors, parseChownErrors } from "../parts/ownership.ts";
import { parseInodes, UNLIMITED } from "../parts/quota.ts";

/** What the user asked of this driver. */
export interface VfsOptions {
  /** What a writable layer may use that asks for nothing else. */
  readonly limits?: ProjectLimits;
  /** Absent: as this process's user namespace suggests. */
  readonly chownErrors?: ChownErrors;
}

/**
 * The driver's options: `vfs.size` and `vfs.inodes`, which Docker writes without `vfs.`, and `vfs.ignore_chown_errors`.
 * @throws {StrataError} `INVALID_ARGUMENT` for an unknown option
 */
export function parseVfsOptions(options: Readonly<Record<string, string>>): VfsOptions {
  let chownErrors: ChownErrors | undefined;
  let limits: ProjectLimits | undefined;
  for (const [name, value] of Object.entries(options)) {
    switch (name.toLowerCase()) {
      case "vfs.ignore_chown_errors":
        chownErrors = parseChownErrors(name, value);
        break;
      case "size":
      case "vfs.size":
        limits = { ...UNLIMITED, ...limits, bytes: parseByteSize(value) };
        break;
      case "inodes":
      case "vfs.inodes":
        limits = { ...UNLIMITED, ...limits, inodes: parseInodes(value) };
        break;
      case ".imagestore":
      case "vfs.imagestore":
        refuseImageStores(name, value);
        break;
      default:
        throw new StrataError(
          "INVALID_ARGUMENT",
          `Cannot use the option "${name}": driver "vfs" has no such option; it has "vfs.size", "vfs.inodes" and ` +
            '"vfs.ignore_chown_errors"',
          { argument: "options" },
        );
    }
  }
  return { ...(limits === undefined ? {} : { limits }), ...(chownErrors === undefined ? {} : { chownErrors }) };
}
