// SPDX-License-Identifier: Apache-2.0
/**
 * Whether something is mounted at a path.
 *
 * The kernel's own table of mounts decides: a directory's device number tells nothing of bind mounts, and statfs(2) nothing
 * of where a file system begins. The table names places without symlinks, so paths are resolved first.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { hasErrno } from "../../host/errno.ts";
import { realPath } from "../../host/files.ts";
import { fileSystemOf } from "../../host/fs_info.ts";
import { mountAt } from "../../host/mount_table.ts";

/** Tells whether something is mounted at a path. */
export interface Checker {
  /**
   * Whether the absolute path is a mount point; one that does not exist is none.
   * @throws {OsError} when it cannot be told
   */
  isMounted(path: string): boolean;
}

/** Looks into the table of mounts: whatever is mounted counts. */
export const DEFAULT_CHECKER: Checker = { isMounted };

/** Whether anything is mounted at an absolute path. */
export function isMounted(path: string): boolean {
  const place = placeOf(path);
  return place !== undefined && mountAt(place) !== undefined;
}

/**
 * Counts only mounts of one file system, told by the number that statfs(2) gives: for drivers whose mount points others
 * may mount on.
 * @param magic one of {@link FS_MAGIC}
 */
export function fileSystemChecker(magic: number): Checker {
  return { isMounted: (path) => isMounted(path) && fileSystemOf(path).magic === magic };
}

/** The path as the table of mounts has it; `undefined` when there is none. */
function placeOf(path: string): string | undefined {
  try {
    return resolvedPath(path);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** A mount whose server has died cannot be looked at, but what lies above it can. */
function resolvedPath(path: string): string {
  try {
    return realPath(path);
  } catch (error) {
    if (!hasErrno(error, "ENOTCONN", "ESTALE", "EIO", "EACCES")) throw error;
    return join(realPath(dirname(path)), basename(path));
  }
}
