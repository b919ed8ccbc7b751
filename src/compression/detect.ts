// SPDX-License-Identifier: Apache-2.0
/**
 * Telling by the first bytes how a blob is compressed. Media types are not asked: they are often wrong.
 *
 * Magic numbers: RFC 1952 (gzip), RFC 8878 sections 3.1.1 and 3.1.2 (zstd, skippable frames), the xz file format
 * section 2.1.1.1, and `bzip2`'s `BZh`.
 *
 * @module
 */

/** How a blob is compressed. */
export type Compression = "none" | "gzip" | "zstd" | "xz" | "bzip2";

/** Bytes that {@link detectCompression} wants to see, where there are as many. */
export const HEAD_BYTES = 10;

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** What the head of a blob says. Whatever is not recognised is `none`, and so is the empty blob: a legal empty layer. */
export function detectCompression(head: Uint8Array): Compression {
  for (const [compression, magic] of MAGICS) {
    if (magic.every((byte, i) => head[i] === byte)) return compression;
  }
  return isSkippableFrame(head) ? "zstd" : "none";
}

/** zstd may begin with a frame that carries no data: magic 0x184D2A50 to 0x184D2A5F, little endian, then its size. */
function isSkippableFrame(head: Uint8Array): boolean {
  return head.length >= 8 && ((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d &&
    head[3] === 0x18;
}
