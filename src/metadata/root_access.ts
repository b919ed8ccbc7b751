// SPDX-License-Identifier: Apache-2.0
/**
 * Whether this user may look into a store, and change it. Asked once when it is opened, so that another user's store is refused
 * in the same words by every command; what changes later, the system refuses where it happens.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import { fromOsError, hasErrno } from "../host/errno.ts";
import { nearestDirectory, openForRead, pathExists, requireChangeable } from "../host/files.ts";

/**
 * Refuses a root whose records this user may not read. One that is not there, or empty, is none of these.
 * @throws {StrataError} `NOT_PERMITTED`
 */
export function requireReadable(root: string): void {
  const path = `${root}/image`;
  try {
    openForRead(path).close();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return;
    if (!hasErrno(error, "EACCES", "EPERM")) throw fromOsError(error, `open the store at "${root}"`);
    throw new StrataError(
      "NOT_PERMITTED",
      `Cannot open the store at "${root}": this user may not look into "${path}"; ` +
        "run as the user whose store it is, or use another store",
      { path },
      { cause: error, hint: "Run as root if it is root's; a store of your own is named with --root" },
    );
  }
}

/** Whether this user may change what lies below a root, or make a store there. */
export function mayWrite(root: string): boolean {
  return whyUnwritable(root) === undefined;
}

/**
 * Refuses to make a store where this user may not.
 * @throws {StrataError} `NOT_PERMITTED`
 */
export function requireStore(root: string): void {
  if (pathExists(`${root}/image`)) return;
  throw unwritable(root, { path: root, doing: "make a store", cause: whyUnwritable(root) });
}

/**
 * Refuses to change a store in which this user may write nothing.
 * @throws {StrataError} `NOT_PERMITTED`
 */
export function requireWritable(root: string): void {
  const cause = whyUnwritable(root);
  if (cause !== undefined) throw unwritable(root, { path: `${root}/strata`, doing: "write to the store", cause });
}

/**
 * The public form of a failure to write where every change of a store begins: its lock, its claims, its staging area.
 * @param doing completes "Cannot …" where the reason is not that this user may not
 */
export function fromWriteError(
  error: unknown,
  { root, doing }: { readonly root: string; readonly doing: string },
): StrataError {
  if (!hasErrno(error, "EACCES", "EPERM", "EROFS")) return fromOsError(error, doing);
  const failure = fromOsError(error, doing);
  const path = "path" in failure.detail ? failure.detail.path ?? root : root;
  return unwritable(root, { path, doing: "write to the store", cause: error });
}

function whyUnwritable(root: string): unknown {
  try {
    requireChangeable(nearestDirectory(`${root}/strata`));
    return undefined;
  } catch (error) {
    return error;
  }
}

interface Unwritable {
  readonly path: string;
  readonly doing: string;
  readonly cause?: unknown;
}

function unwritable(root: string, { path, doing, cause }: Unwritable): StrataError<"NOT_PERMITTED"> {
  const [why, remedy] = hasErrno(cause, "EROFS")
    ? ["its file system is mounted read-only", "mount it writable"]
    : [`this user may not write "${path}"`, "run as the user whose store it is"];
  return new StrataError(
    "NOT_PERMITTED",
    `Cannot ${doing} at "${root}": ${why}; ${remedy}, or use another store`,
    { path },
    { cause, hint: "Name a store of your own with --root; with --read-only-root it can use the layers of this one" },
  );
}
