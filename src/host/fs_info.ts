// SPDX-License-Identifier: Apache-2.0
/**
 * Which file system a path lies on. statfs(2).
 *
 * @module
 */
import { dirname } from "node:path";
import { fromText } from "../core/bytes.ts";
import { hasErrno } from "./errno.ts";
import { fileSystemName } from "./fs_magic.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, O_PATH, O_RDONLY } from "./linux.ts";
import type { FileSystemStat } from "./kernel_structs.ts";
import { OpenFile } from "./open_file.ts";

/** A file system by name, and how full it is. */
export interface FileSystemInfo extends FileSystemStat {
  /** As {@link fileSystemName} gives it. */
  readonly name: string;
}

/**
 * The file system that holds `path`.
 * @throws {OsError}
 */
export function fileSystemOf(path: string): FileSystemInfo {
  using handle = new OpenFile(libc.openat(AT_FDCWD, fromText(path), O_RDONLY | O_PATH));
  const stat = libc.fstatfs(handle.fd);
  return { name: fileSystemName(stat.magic), ...stat };
}

/**
 * The number of the file system that holds `path`, or that would: of a path that does not exist yet, the nearest directory
 * above it decides.
 * @throws {OsError}
 */
export function getFsMagic(path: string): number {
  try {
    return fileSystemOf(path).magic;
  } catch (error) {
    const above = dirname(path);
    if (!hasErrno(error, "ENOENT", "ENOTDIR") || above === path) throw error;
    return getFsMagic(above);
  }
}
