// SPDX-License-Identifier: Apache-2.0
/**
 * Where things stand in a tar: blocks, fields, type flags. POSIX.1-2017 pax(1), "ustar Interchange Format"; GNU tar
 * manual, "Basic Tar Format"; star(5).
 *
 *   header block (512) · payload · padding to 512 · header block · … · two blocks of NUL
 *
 * @module
 */

/** Bytes of a block: headers are one, payloads are padded to whole ones. */
export const BLOCK_BYTES = 512;

/** A field of a header block, in bytes. */
export interface Field {
  readonly label: string;
  readonly at: number;
  readonly length: number;
}

/** The fields of a header block, in all dialects; those from `prefix` on overlap. */
export const FIELD = {
  name: { label: "name", at: 0, length: 100 },
  mode: { label: "mode", at: 100, length: 8 },
  uid: { label: "uid", at: 108, length: 8 },
  gid: { label: "gid", at: 116, length: 8 },
  size: { label: "size", at: 124, length: 12 },
  mtime: { label: "mtime", at: 136, length: 12 },
  checksum: { label: "checksum", at: 148, length: 8 },
  typeFlag: { label: "type flag", at: 156, length: 1 },
  linkName: { label: "link name", at: 157, length: 100 },
  magic: { label: "magic", at: 257, length: 6 },
  version: { label: "version", at: 263, length: 2 },
  uname: { label: "user name", at: 265, length: 32 },
  gname: { label: "group name", at: 297, length: 32 },
  devMajor: { label: "device major", at: 329, length: 8 },
  devMinor: { label: "device minor", at: 337, length: 8 },
  prefix: { label: "prefix", at: 345, length: 155 },
  starPrefix: { label: "prefix", at: 345, length: 131 },
  starAtime: { label: "atime", at: 476, length: 12 },
  starCtime: { label: "ctime", at: 488, length: 12 },
  starTrailer: { label: "trailer", at: 508, length: 4 },
  gnuAtime: { label: "atime", at: 345, length: 12 },
  gnuCtime: { label: "ctime", at: 357, length: 12 },
  gnuSparse: { label: "sparse map", at: 386, length: 4 * 24 },
  gnuIsExtended: { label: "sparse continuation", at: 482, length: 1 },
  gnuRealSize: { label: "real size", at: 483, length: 12 },
} as const satisfies Record<string, Field>;

/** Bytes of one piece in an old GNU sparse map: offset and length, 12 each. */
export const GNU_SPARSE_PIECE_BYTES = 24;
/** Fields of the block that continues an old GNU sparse map. */
export const GNU_SPARSE_BLOCK = {
  pieces: { label: "sparse map", at: 0, length: 21 * GNU_SPARSE_PIECE_BYTES },
  isExtended: { label: "sparse continuation", at: 504, length: 1 },
} as const satisfies Record<string, Field>;

/** Type flags that have a meaning here. */
export const TYPE = {
  oldFile: 0,
  file: code("0"),
  hardlink: code("1"),
  symlink: code("2"),
  char: code("3"),
  block: code("4"),
  dir: code("5"),
  fifo: code("6"),
  paxNext: code("x"),
  paxGlobal: code("g"),
  gnuLongName: code("L"),
  gnuLongLink: code("K"),
  gnuSparse: code("S"),
} as const;

/** Bytes of padding behind a payload of this size. */
export function paddingOf(sizeBytes: number): number {
  const rest = sizeBytes % BLOCK_BYTES;
  return rest === 0 ? 0 : BLOCK_BYTES - rest;
}

/** True for a block of NULs only. */
export function isZeroBlock(block: Uint8Array): boolean {
  for (let i = 0; i < block.length; i++) if (block[i] !== 0) return false;
  return true;
}

function code(char: string): number {
  return char.charCodeAt(0);
}
