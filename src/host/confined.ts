// SPDX-License-Identifier: Apache-2.0
/**
 * Ways that do not lead out of certain directories. What another store's names lead to is that store's word, and not this
 * package's: a layer there could be a symlink to the whole machine.
 *
 * The kernel resolves (`openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)`, openat2(2)), so that nothing can be swapped between
 * the look and the opening.
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { isOsError } from "./errno.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_PATH, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS } from "./linux.ts";

/**
 * Opens what lies in one of these directories. Symlinks on the way are followed inside that one, a final one is refused.
 * @param within absolute paths without symlinks
 * @throws {StrataError} `CORRUPT` when the way leads out of them
 * @throws {OsError}
 */
export function openHandleWithin(path: string, within: readonly string[], flags: number): number {
  const root = within.find((dir) => path.startsWith(`${dir}/`));
  if (root === undefined) throw leadsOut(path);
  const base = libc.openat(AT_FDCWD, fromText(root), O_PATH | O_DIRECTORY);
  try {
    const below = fromText(path.slice(root.length + 1));
    return libc.openat2(base, below, flags | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
  } catch (error) {
    // A final symlink is ELOOP, or ENOTDIR where a directory is wanted.
    if (isOsError(error, "EXDEV", "ELOOP") || isSymlink(error, path)) throw leadsOut(path, error);
    throw error;
  } finally {
    libc.close(base);
  }
}

/**
 * Makes sure that a directory lies in one of these, without a symlink on the way that leads out.
 * @throws {StrataError} `CORRUPT`
 * @throws {OsError} when there is no such directory
 */
export function requireWithin(path: string, within: readonly string[]): void {
  libc.close(openHandleWithin(path, within, O_PATH | O_DIRECTORY));
}

function isSymlink(error: unknown, path: string): boolean {
  return isOsError(error, "ENOTDIR") && libc.statx(AT_FDCWD, fromText(path))?.type === "symlink";
}

function leadsOut(path: string, cause?: unknown): StrataError<"CORRUPT"> {
  return new StrataError(
    "CORRUPT",
    `Cannot read "${path}": the way there leads out of the store through a symlink, and of a store that is only read nothing ` +
      "outside is used; give the store that it leads to as well, or repair this one with the tool that it belongs to",
    { path },
    { cause },
  );
}
