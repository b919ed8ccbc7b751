// SPDX-License-Identifier: Apache-2.0
/**
 * File systems on which the kernel's overlayfs cannot keep what is written: an upper needs whiteouts, attributes of its own
 * and names that nobody changes behind its back. containers/storage draws the same line.
 *
 * Source: kernel Documentation/filesystems/overlayfs.rst, "Upper and Lower".
 *
 * @module
 */
import { isNetworkFileSystem } from "../../../host/fs_magic.ts";

/** Why a home cannot lie on a file system. */
export interface BackingRefusal {
  /** A clause that says what to do. */
  readonly reason: string;
  /** What is missing. */
  readonly lacking: "file system";
}

/** File systems that are layers upon others themselves. */
const STACKED = new Set(["aufs", "ecryptfs", "overlayfs"]);

/** Why the kernel cannot keep layers on a file system, by its name; `undefined` when only a trial can tell. */
export function backingRefusal(fileSystem: string): BackingRefusal | undefined {
  if (!STACKED.has(fileSystem) && !isNetworkFileSystem(fileSystem)) return undefined;
  return {
    reason: `the kernel's overlayfs cannot keep layers on ${fileSystem}; put the store on a local file system, ` +
      'set "overlay2.mount_program", or use driver "vfs"',
    lacking: "file system",
  };
}
