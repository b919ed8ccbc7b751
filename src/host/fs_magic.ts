// SPDX-License-Identifier: Apache-2.0
/**
 * The numbers by which statfs(2) tells file systems apart, and their names.
 *
 * The names are those that Docker and containers/storage show; file systems for which they have a number only carry the
 * name by which mount(8) knows them. Numbers: statfs(2), `<linux/magic.h>`.
 *
 * @module
 */

/** `f_type` of each file system, by name. */
export const FS_MAGIC = {
  acfs: 0x61636673,
  afs: 0x5346414f,
  aufs: 0x61756673,
  btrfs: 0x9123683e,
  ceph: 0x00c36400,
  cifs: 0xff534d42,
  cramfs: 0x28cd3d45,
  ecryptfs: 0xf15f,
  erofs: 0xe0f5e1e2,
  extfs: 0xef53,
  f2fs: 0xf2f52010,
  fhgfs: 0x19830326,
  fuse: 0x65735546,
  gpfs: 0x47504653,
  ibrix: 0x013111a8,
  jffs2: 0x72b6,
  jfs: 0x3153464a,
  kafs: 0x6b414653,
  lustre: 0x0bd00bd0,
  ncp: 0x564c,
  nfs: 0x6969,
  nfsd: 0x6e667364,
  ocfs2: 0x7461636f,
  overlayfs: 0x794c7630,
  panfs: 0xaad7aaea,
  prlfs: 0x7c7c6673,
  ramfs: 0x858458f6,
  reiserfs: 0x52654973,
  smb: 0x517b,
  smb2: 0xfe534d42,
  snfs: 0xbeefdead,
  squashfs: 0x73717368,
  tmpfs: 0x01021994,
  vboxsf: 0x786f4256,
  vxfs: 0xa501fcf5,
  xfs: 0x58465342,
  zfs: 0x2fc12fc1,
} as const;

/** A file system that has a name here. */
export type FsName = keyof typeof FS_MAGIC;

/** Those whose files may change on another machine, as containers/storage lists them. */
const NETWORK: ReadonlySet<string> = new Set<FsName>([
  "acfs",
  "afs",
  "ceph",
  "cifs",
  "fhgfs",
  "gpfs",
  "ibrix",
  "kafs",
  "lustre",
  "ncp",
  "nfs",
  "nfsd",
  "ocfs2",
  "panfs",
  "prlfs",
  "smb",
  "smb2",
  "snfs",
  "vboxsf",
]);

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(FS_MAGIC).map(([name, magic]) => [magic, name]));

/** The name of a file system's number; `unknown (0x…)` for one without. */
export function fileSystemName(magic: number): string {
  return NAMES.get(magic) ?? `unknown (0x${magic.toString(16)})`;
}

/** Whether a file system, by its name, lies on another machine. */
export function isNetworkFileSystem(name: string): boolean {
  return NETWORK.has(name);
}
