// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel's structures of project ids and quotas, as they lie in memory on 64-bit little-endian Linux.
 *
 * Layouts: `struct fsxattr` of `<linux/fs.h>`; `struct fs_disk_quota` and `struct fs_quota_stat` of `<linux/dqblk_xfs.h>`,
 * which ext4 answers to as xfs does (kernel, fs/quota/quota.c).
 *
 * @module
 */

/** Bytes of `struct fsxattr`. */
export const FSXATTR_BYTES = 28;
/** Bytes of `struct fs_disk_quota`. */
export const DISK_QUOTA_BYTES = 112;
/** Bytes of `struct fs_quota_stat`. */
export const QUOTA_STAT_BYTES = 80;

/** `fsx_xflags`: the file cannot be changed, renamed or removed. */
export const XFLAG_IMMUTABLE = 0x8;
/** `fsx_xflags`: the file can only grow, and not be removed. */
export const XFLAG_APPEND = 0x10;
/** `fsx_xflags`: what is made in the directory gets its project id. */
export const XFLAG_PROJINHERIT = 0x200;

/** Highest project id: the one above means "none". */
export const PROJECT_ID_MAX = 0xfffffffe;

/** What a project may use; 0 is no limit. */
export interface ProjectLimits {
  /** Bytes on disk. */
  readonly bytes: number;
  /** Files, directories and all else that has an inode. */
  readonly inodes: number;
}

/** What a project uses, and may use. */
export interface ProjectUsage extends ProjectLimits {
  /** Bytes on disk, those promised to files not yet written included. */
  readonly bytesUsed: number;
  /** Inodes. */
  readonly inodesUsed: number;
}

/** Whether a file system counts what projects use, and holds them to their limits. */
export type QuotaState = "enforced" | "counted" | "off";

const LITTLE_ENDIAN = true;
const DISK_QUOTA_VERSION = 1;
/** `d_flags`: it is a project's. */
const PROJECT = 2;
/** `d_fieldmask`: the soft and hard limits of inodes and blocks. */
const ALL_LIMITS = 0xf;
/** Limits are in these, whatever the file system's own blocks are. */
const BASIC_BLOCK_BYTES = 512;
const NO_SLACK: ProjectLimits = { bytes: 0, inodes: 0 };
const PROJECTS_COUNTED = 1 << 4;
const PROJECTS_ENFORCED = 1 << 5;

/** An object's flags, `fsx_xflags`. */
export function readXflags(view: DataView): number {
  return view.getUint32(0, LITTLE_ENDIAN);
}

/** Sets an object's flags, all else kept as it was read. */
export function writeXflags(view: DataView, flags: number): void {
  view.setUint32(0, flags, LITTLE_ENDIAN);
}

/** An object's project id, `fsx_projid`. */
export function readProjectId(view: DataView): number {
  return view.getUint32(12, LITTLE_ENDIAN);
}

/** Sets an object's project id, all else kept as it was read. */
export function writeProjectId(view: DataView, id: number): void {
  view.setUint32(12, id, LITTLE_ENDIAN);
}

/**
 * Writes a `struct fs_disk_quota` that sets a project's limits. The soft ones say what is wished, the hard ones what the
 * kernel holds the project to.
 * @param slack how much the hard limits are above the soft ones for now; absent: they are the same
 */
export function writeDiskQuota(
  view: DataView,
  limits: ProjectLimits & { readonly id: number },
  slack = NO_SLACK,
): void {
  for (let at = 0; at < DISK_QUOTA_BYTES; at += 8) view.setBigUint64(at, 0n, LITTLE_ENDIAN);
  view.setInt8(0, DISK_QUOTA_VERSION);
  view.setInt8(1, PROJECT);
  view.setUint16(2, ALL_LIMITS, LITTLE_ENDIAN);
  view.setUint32(4, limits.id, LITTLE_ENDIAN);
  const blocks = blocksOf(limits.bytes);
  view.setBigUint64(8, blocks === 0n ? 0n : blocks + blocksOf(slack.bytes), LITTLE_ENDIAN);
  view.setBigUint64(16, blocks, LITTLE_ENDIAN);
  view.setBigUint64(24, BigInt(limits.inodes === 0 ? 0 : limits.inodes + slack.inodes), LITTLE_ENDIAN);
  view.setBigUint64(32, BigInt(limits.inodes), LITTLE_ENDIAN);
}

/** Reads a `struct fs_disk_quota`. */
export function readDiskQuota(view: DataView): ProjectUsage {
  const field = (at: number) => Number(view.getBigUint64(at, LITTLE_ENDIAN));
  return {
    bytes: field(16) * BASIC_BLOCK_BYTES,
    inodes: field(32),
    bytesUsed: field(40) * BASIC_BLOCK_BYTES,
    inodesUsed: field(48),
  };
}

/** What a `struct fs_quota_stat` says of projects. */
export function readQuotaState(view: DataView): QuotaState {
  const flags = view.getUint16(2, LITTLE_ENDIAN);
  if ((flags & PROJECTS_COUNTED) === 0) return "off";
  return (flags & PROJECTS_ENFORCED) === 0 ? "counted" : "enforced";
}

/** Rounded up: down, a limit below a block would be none. */
function blocksOf(bytes: number): bigint {
  return BigInt(Math.ceil(bytes / BASIC_BLOCK_BYTES));
}
