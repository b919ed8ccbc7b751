// SPDX-License-Identifier: Apache-2.0
/**
 * Blobs with a table of contents, made by the descriptions of their formats, and as wrong as a test wants them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { rawFrame, skippableFrame } from "../compression/zstd_writer.ts";
import { concat, END_MARKER, rawMember } from "./tar_builder.ts";

/** What the footer of a zstd:chunked blob says. Absent fields are right. */
export interface ChunkedFooter {
  /** `GNUlInUx` with 64 bytes (the default), or the older `GnUlInUx` with 40. */
  readonly form?: "64 bytes" | "40 bytes";
  readonly offset?: number | bigint;
  readonly length?: number | bigint;
  readonly type?: number;
  readonly mark?: string;
}

/** The table in a zstd:chunked blob. Nobody here looks into it. */
export const TABLE = rawFrame(Buffer.from(`{"version":1,"entries":[]}`));

/** A zstd:chunked blob: data frames, table, tar-split, footer. */
export function zstdChunked(tar: Uint8Array, footer: ChunkedFooter = {}): Uint8Array {
  const half = tar.length >> 1;
  const data = concat(rawFrame(tar.subarray(0, half)), rawFrame(tar.subarray(half)));
  const tarSplit = rawFrame(Buffer.from("tar-split"));
  const isOld = footer.form === "40 bytes";
  const frames = isOld ? skippableFrame(TABLE) : concat(skippableFrame(TABLE), skippableFrame(tarSplit));
  const words = Buffer.alloc(isOld ? 40 : 64);
  const numbers = [footer.offset ?? data.length + 8, footer.length ?? TABLE.length, 26, footer.type ?? 1];
  if (!isOld) numbers.push(data.length + 8 + TABLE.length + 8, tarSplit.length, 9);
  for (const [i, value] of numbers.entries()) words.writeBigUInt64LE(BigInt(value), i * 8);
  words.write(footer.mark ?? (isOld ? "GnUlInUx" : "GNUlInUx"), words.length - 8, "latin1");
  return concat(data, frames, skippableFrame(words));
}

/** How an eStargz blob is made. */
export interface StargzOptions {
  /** What the last member holds. */
  readonly json?: string | Uint8Array;
  /** Where the footer says that the table is. Absent: where it is. */
  readonly offset?: number;
  /** Members between the table's and the archive's end. */
  readonly behind?: Uint8Array;
}

/** The table in an eStargz blob, unless another is given. */
export const INDEX_JSON = `{\n\t"version": 1,\n\t"entries": []\n}`;

/** An eStargz blob of an archive's members, a gzip member each: the table's, with the archive's end, and the footer follow. */
export function estargz(members: readonly Uint8Array[], options: StargzOptions = {}): Uint8Array {
  const data = concat(...members.map((member) => gzipSync(member)));
  return concat(data, stargzTable(options), stargzFooter(options.offset ?? data.length));
}

/** The member of the table. */
export function stargzTable({ json = INDEX_JSON, behind = new Uint8Array(0) }: StargzOptions = {}): Uint8Array {
  const table = typeof json === "string" ? Buffer.from(json) : json;
  return gzipSync(concat(rawMember({ name: "stargz.index.json" }, table), behind, END_MARKER));
}

/** The empty gzip member that ends an eStargz blob. */
export function stargzFooter(offset: number): Uint8Array {
  const digits = Buffer.from(offset.toString(16).padStart(16, "0")).toString("hex");
  return Buffer.from(
    `1f8b080400000000 00ff1a0053471600${digits}53544152475a010000ffff0000000000000000`.replace(" ", ""),
    "hex",
  );
}
