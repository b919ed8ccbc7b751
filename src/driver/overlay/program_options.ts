// SPDX-License-Identifier: Apache-2.0
/**
 * The options by which layers are mounted by a program instead of the kernel. Their names are those of containers/storage.
 *
 * @module
 */
import { isAbsolute } from "node:path";
import { StrataError } from "../../core/errors.ts";
import { findProgram } from "../../host/command.ts";

/**
 * The program that an option names; none for an empty value.
 * @throws {StrataError} `INVALID_ARGUMENT` when the file cannot be run
 */
export function parseMountProgram(path: string): string | undefined {
  if (path === "") return undefined;
  if (isAbsolute(path) && findProgram(path) !== undefined) return path;
  const reason = isAbsolute(path) ? "there is no program that may be run" : "its path does not begin at the root";
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the mount program "${path}": ${reason}; give the absolute path of fuse-overlayfs`,
    { argument: "options" },
  );
}

const OWNER_BITS = 0o700;

/**
 * The mode that a value of `force_mask` names: `shared`, `private`, or octal digits.
 * @throws {StrataError} `INVALID_ARGUMENT` for anything else, and for a mode with which this process could not read
 */
export function parseForceMask(value: string): number {
  if (value === "shared") return 0o755;
  if (value === "private") return OWNER_BITS;
  const mode = /^[0-7]{3,4}$/.test(value) ? parseInt(value, 8) : -1;
  if (mode >= 0 && mode <= 0o777 && (mode & OWNER_BITS) === OWNER_BITS) return mode;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the mask "${value}": expected "shared", "private", or an octal mode of which the owner has all, as 0750`,
    { argument: "options" },
  );
}
