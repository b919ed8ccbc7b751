// SPDX-License-Identifier: Apache-2.0
/**
 * Which file system a path lies on, by the names that Docker shows.
 *
 * Numbers: statfs(2), `<linux/magic.h>`.
 *
 * @module
 */
import { fromText } from "../core/bytes.ts";
import * as libc from "./libc.ts";
import { AT_FDCWD, O_PATH, O_RDONLY } from "./linux.ts";
import type { FileSystemStat } from "./kernel_structs.ts";
import { OpenFile } from "./open_file.ts";

/** A file system by name, and how full it is. */
export interface FileSystemInfo extends FileSystemStat {
  /** Docker's name for it; `<unknown>` for one that is not in its table. */
  readonly name: string;
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, "extfs"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x794c7630, "overlayfs"],
  [0x01021994, "tmpfs"],
  [0x2fc12fc1, "zfs"],
  [0x6969, "nfs"],
  [0x858458f6, "ramfs"],
  [0x61756673, "aufs"],
  [0xf2f52010, "f2fs"],
  [0x65735546, "fuse"],
  [0xf15f, "ecryptfs"],
  [0x73717368, "squashfs"],
  [0x3153464a, "jfs"],
  [0x52654973, "reiserfs"],
  [0x517b, "smb"],
  [0x47504653, "gpfs"],
  [0x28cd3d45, "cramfs"],
  [0x72b6, "jffs2"],
  [0xa501fcf5, "vxfs"],
]);

/** Docker's name for a file system's number. */
export function fileSystemName(magic: number): string {
  return NAMES.get(magic) ?? "<unknown>";
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
