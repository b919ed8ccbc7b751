// SPDX-License-Identifier: Apache-2.0
/**
 * The table of contents of a zstd:chunked blob, found by the blob's own bytes. containers/storage, pkg/chunked.
 *
 *   data frames …  [table of contents]  [tar-split]  [footer]       the last three are skippable frames
 *
 *   footer, 64 bytes:  offset length rawLength type  tarSplitOffset tarSplitLength tarSplitRawLength  "GNUlInUx"
 *   until 2023, 40:    offset length rawLength type  "GnUlInUx"                    numbers of 64 bits, little endian
 *
 * Offset and length are those of a frame's payload, which is the table in zstd; its digest is over the bytes as they are.
 * Nothing else is looked at: neither what the table says, nor the raw lengths.
 *
 * @module
 */
import { type Digest, DigestWriter } from "../core/digest.ts";
import { SKIPPABLE_FRAMES_MAX } from "../core/limits.ts";
import type { SkippableFrame, SkippedFrames } from "./zstd_frames.ts";

const MAGIC = 0x184d2a50;
/** The type of table that this is, and the only one there is. */
const TYPE_CRFS = 1n;
/** By the footer's length: the text it ends with. */
const FOOTER_MARKS: ReadonlyMap<number, string> = new Map([[64, "GNUlInUx"], [40, "GnUlInUx"]]);
const MARK_BYTES = 8;

interface HashedFrame extends SkippableFrame {
  readonly digest: DigestWriter;
}

/** Watches the skippable frames of one blob. */
export class ZstdChunkedToc implements SkippedFrames {
  readonly #frames: HashedFrame[] = [];
  #seen = 0;
  #current: HashedFrame | undefined;
  /** The payload of the current frame, where it may be a footer by its length. */
  #footer = new Uint8Array(0);
  #footerBytes = 0;

  begin(frame: SkippableFrame): void {
    this.#current = undefined;
    if (++this.#seen > SKIPPABLE_FRAMES_MAX || frame.magic !== MAGIC) return;
    this.#current = { ...frame, digest: new DigestWriter() };
    this.#frames.push(this.#current);
    this.#footer = new Uint8Array(FOOTER_MARKS.has(frame.length) ? frame.length : 0);
    this.#footerBytes = 0;
  }

  data(bytes: Uint8Array): void {
    this.#current?.digest.update(bytes);
    if (this.#footerBytes === this.#footer.length) return;
    this.#footer.set(bytes, this.#footerBytes);
    this.#footerBytes += bytes.length;
  }

  /** The table's digest, of a blob that has ended; `undefined` when the blob has none, or its footer does not name one. */
  digest(blobBytes: number): Digest | undefined {
    const last = this.#frames.at(-1);
    if (last === undefined || last.offset + last.length !== blobBytes) return undefined;
    const named = parseFooter(this.#footer);
    return this.#frames
      .find((frame) => frame !== last && frame.offset === named?.offset && frame.length === named.length)
      ?.digest.finish();
  }
}

function parseFooter(footer: Uint8Array): { offset: number; length: number } | undefined {
  const mark = FOOTER_MARKS.get(footer.length);
  const isMarked = new TextDecoder("latin1").decode(footer.subarray(-MARK_BYTES)) === mark;
  if (!isMarked) return undefined;
  const words = new DataView(footer.buffer, footer.byteOffset);
  if (words.getBigUint64(24, true) !== TYPE_CRFS) return undefined;
  // Beyond 2^53 they are not exact, and no frame's.
  return { offset: Number(words.getBigUint64(0, true)), length: Number(words.getBigUint64(8, true)) };
}
