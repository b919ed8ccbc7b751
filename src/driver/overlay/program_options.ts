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
