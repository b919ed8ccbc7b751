// SPDX-License-Identifier: Apache-2.0
/**
 * zstd frames made by hand (RFC 8878), of raw and run-length blocks only: needs no compressor, and can lie.
 *
 * @module
 */
import { Xxh64 } from "../../src/compression/xxh64.ts";

export interface FrameOptions {
  /** The window descriptor byte; absent: a single segment. */
  window?: number;
  checksum?: "right" | "wrong";
  dictionary?: number;
  /** Bytes of each raw block. */
  blockBytes?: number;
  contentBytes?: number;
}

export function rawFrame(content: Uint8Array, options: FrameOptions = {}): Uint8Array {
  const size = options.blockBytes ?? 1000;
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += size) blocks.push(content.subarray(at, at + size));
  if (blocks.length === 0) blocks.push(new Uint8Array(0));
  const body = blocks.map((block, i) =>
    concat([blockHeader({ last: i === blocks.length - 1, type: 0, size: block.length }), block])
  );
  return concat([frameHeader(content.length, options), ...body, checksumOf(content, options)]);
}

/** `count` blocks of `size` times one byte: four bytes of input each. */
export function rleFrame(byte: number, blocks: { count: number; size: number }): Uint8Array {
  const body = Array.from({ length: blocks.count }, (_, i) =>
    concat([
      blockHeader({ last: i === blocks.count - 1, type: 1, size: blocks.size }),
      Uint8Array.of(byte),
    ]));
  return concat([frameHeader(0, { window: 0x38 }), ...body]);
}

export function skippableFrame(content: Uint8Array, variant = 0): Uint8Array {
  return concat([Uint8Array.of(0x50 + variant, 0x2a, 0x4d, 0x18), u32(content.length), content]);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function frameHeader(size: number, options: FrameOptions): Uint8Array {
  const isSingle = options.window === undefined;
  const hasDictionary = options.dictionary !== undefined;
  const descriptor = (isSingle ? 0xa0 : 0) | (options.checksum ? 4 : 0) | (hasDictionary ? 3 : 0);
  return concat([
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, descriptor),
    options.window === undefined ? new Uint8Array(0) : Uint8Array.of(options.window),
    options.dictionary === undefined ? new Uint8Array(0) : u32(options.dictionary),
    isSingle ? u32(options.contentBytes ?? size) : new Uint8Array(0),
  ]);
}

function blockHeader(block: { last: boolean; type: number; size: number }): Uint8Array {
  return u32((block.last ? 1 : 0) | (block.type << 1) | (block.size << 3)).subarray(0, 3);
}

function checksumOf(content: Uint8Array, options: FrameOptions): Uint8Array {
  if (options.checksum === undefined) return new Uint8Array(0);
  const hash = new Xxh64();
  hash.update(content);
  return u32(hash.digestLow() ^ (options.checksum === "wrong" ? 1 : 0));
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}
