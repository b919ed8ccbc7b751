// SPDX-License-Identifier: Apache-2.0
/**
 * The table of contents to which the footer of an eStargz blob leads: what a lazy reader takes for the layer.
 *
 *   gzip members of the archive …  [member of stargz.index.json]  [footer]
 *
 *   footer, 51 bytes: an empty gzip member with the extra field  "SG" 22  offset of the table's member, 16 hex digits, "STARGZ"
 *
 * The footer comes last and leads back, so the end of the blob is kept while it passes; a table that begins before that is
 * not found. Whether the archive has the same table is the caller's to compare: a blob may show its two kinds of
 * readers different ones. stargz-snapshotter, docs/estargz.md.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { gunzipChunks } from "../compression/gzip.ts";
import type { Digest } from "../core/digest.ts";
import { isStrataError } from "../core/errors.ts";
import { STARGZ_TOC_BLOB_BYTES_MAX, STARGZ_TOC_BYTES_MAX } from "../core/limits.ts";
import { TarReader } from "../tar/reader.ts";
import { StargzIndex } from "./stargz_index.ts";

const FOOTER_BYTES = 51;
/** A lazy reader takes the first member only, and of a bomb nobody reads the end. */
const TABLE_LIMITS = { entriesMax: 1, unpackedBytesMax: STARGZ_TOC_BYTES_MAX, trailingBytesMax: STARGZ_TOC_BYTES_MAX };
const KEPT_BYTES = STARGZ_TOC_BLOB_BYTES_MAX + FOOTER_BYTES;
/** In hex: the header of a member with an extra field, anything for time and system, the field, no data, no checksum. */
const FOOTER = /^1f8b0804.{12}1a0053471600((?:3[0-9]|6[1-6]){16})53544152475a010000ffff0{16}$/;

/** Keeps the end of a gzip blob as it passes. */
export class StargzTail {
  /** A ring: where the system gives memory by use, a small blob takes little of it. */
  readonly #ring = Buffer.alloc(KEPT_BYTES);
  #blobBytes = 0;

  /** Takes the next bytes of the blob. */
  push(chunk: Uint8Array): void {
    const kept = chunk.subarray(-KEPT_BYTES);
    const at = (this.#blobBytes + chunk.length - kept.length) % KEPT_BYTES;
    const before = kept.subarray(0, KEPT_BYTES - at);
    this.#ring.set(before, at);
    this.#ring.set(kept.subarray(before.length), 0);
    this.#blobBytes += chunk.length;
  }

  /** Digest of the table's JSON, of a blob that has ended; `undefined` when the footer leads to none. */
  async digest(): Promise<Digest | undefined> {
    const footerOffset = this.#blobBytes - FOOTER_BYTES;
    const tocOffset = offsetIn(this.#slice(footerOffset, this.#blobBytes));
    if (tocOffset === undefined) return undefined;
    const table = this.#slice(tocOffset, footerOffset);
    return table === undefined ? undefined : await digestOfTable(table);
  }

  /** A range of the blob, when it is one and all of it is kept. */
  #slice(from: number, to: number): Buffer | undefined {
    if (!(from >= 0 && from < to && from >= this.#blobBytes - KEPT_BYTES)) return undefined;
    const start = from % KEPT_BYTES;
    const first = this.#ring.subarray(start, start + to - from);
    return Buffer.concat([first, this.#ring.subarray(0, to - from - first.length)]);
  }
}

function offsetIn(footer: Buffer | undefined): number | undefined {
  const digits = FOOTER.exec(footer?.toString("hex") ?? "")?.[1];
  return digits === undefined ? undefined : parseInt(Buffer.from(digits, "hex").toString("latin1"), 16);
}

async function digestOfTable(member: Uint8Array): Promise<Digest | undefined> {
  const archive = new StargzIndex();
  const reader = new TarReader(archive, TABLE_LIMITS);
  try {
    for await (const chunk of gunzipChunks([member])) reader.push(chunk);
    reader.end();
  } catch (error) {
    if (isStrataError(error)) return undefined;
    throw error;
  }
  return archive.digest;
}
