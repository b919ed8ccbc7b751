// SPDX-License-Identifier: Apache-2.0
/**
 * zstd, RFC 8878: all frames of a stream, one after the other; skippable frames give nothing.
 *
 * Decoder: `node:zlib`'s where the runtime has one (Deno; Node from 22.15 on), about six times as fast as `fzstd`,
 * which serves everywhere else. Neither is trusted with where a frame ends: {@link FrameWalker} is. The content's
 * length and checksum are verified with both: by the native decoder itself, and for `fzstd` here.
 *
 * @module
 */
import zlib from "node:zlib";
import { Decompress } from "fzstd";
import { StrataError } from "../core/errors.ts";
import { CHUNK_BYTES, DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import type { ChunkSource } from "./gzip.ts";
import { Xxh64 } from "./xxh64.ts";
import { ZlibPump } from "./zlib_pump.ts";
import { type FrameHeader, FrameWalker, type Piece, type SkippedFrames, type WalkOptions } from "./zstd_frames.ts";

/** Who decodes: the runtime's `node:zlib`, or JavaScript. */
export type ZstdDecoder = "native" | "portable";

/** How {@link unzstdChunks} reads. */
export interface UnzstdOptions {
  readonly limits?: Pick<Limits, "zstdWindowLogMax">;
  /** Default: the native decoder where there is one. */
  readonly decoder?: ZstdDecoder;
  /** Is told of the frames that give nothing. */
  readonly skipped?: SkippedFrames | undefined;
}

/** Whether this runtime's `node:zlib` knows zstd. */
export function hasNativeZstd(): boolean {
  return typeof zlib.createZstdDecompress === "function";
}

/**
 * What a zstd stream holds, in memory bounded by its window. The chunks may share buffers with chunks to come.
 * @throws {StrataError} `INVALID_ARCHIVE` at the stage `decompress`; `LIMIT_EXCEEDED` for a window above the limit
 */
export async function* unzstdChunks(source: ChunkSource, options: UnzstdOptions = {}): AsyncGenerator<Uint8Array> {
  const { limits = DEFAULT_LIMITS, skipped } = options;
  const walking = { windowLogMax: limits.zstdWindowLogMax, skipped };
  const decoder = options.decoder ?? (hasNativeZstd() ? "native" : "portable");
  yield* decoder === "native" ? decodeNatively(source, walking) : decodePortably(source, walking);
}

type Walking = Omit<WalkOptions, "cutAfter">;

/** The decoder lives for the whole stream, since one for each of many small frames would cost more than decoding. */
async function* decodeNatively(source: ChunkSource, walking: Walking): AsyncGenerator<Uint8Array> {
  const walker = new FrameWalker({ cutAfter: "frame", ...walking });
  const params = { [zlib.constants.ZSTD_d_windowLogMax]: walking.windowLogMax };
  const pump = new ZlibPump(zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES, params }));
  try {
    for await (const chunk of source) {
      for (const piece of walker.walk(chunk)) yield* orInvalid(pump.feed(piece.bytes));
    }
    walker.finish();
    yield* orInvalid(pump.finish());
  } finally {
    pump.destroy();
  }
}

async function* decodePortably(source: ChunkSource, walking: Walking): AsyncGenerator<Uint8Array> {
  const walker = new FrameWalker({ cutAfter: "block", ...walking });
  let frame: PortableFrame | undefined;
  for await (const chunk of source) {
    for (const piece of walker.walk(chunk)) {
      frame ??= new PortableFrame(piece.frame);
      yield* frame.decode(piece);
      if (piece.position === "last") frame = undefined;
    }
  }
  walker.finish();
}

/** One frame in `fzstd`, which is given a block at a time at most, so that what it emits at once stays small. */
class PortableFrame {
  readonly #header: FrameHeader;
  readonly #decoder = new Decompress((chunk) => this.#output.push(chunk));
  #output: Uint8Array[] = [];
  #outBytes = 0;
  readonly #checksum: Xxh64 | undefined;
  /** The last bytes seen, of which the final four are the stored checksum. */
  #tail = new Uint8Array(0);

  constructor(header: FrameHeader) {
    this.#header = header;
    this.#checksum = header.checksum === "present" ? new Xxh64() : undefined;
  }

  /** What a piece of the frame gives. */
  decode(piece: Piece): Uint8Array[] {
    this.#output = [];
    try {
      this.#decoder.push(piece.bytes, piece.position === "last");
    } catch (cause) {
      throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
    }
    for (const chunk of this.#output) {
      this.#outBytes += chunk.byteLength;
      this.#checksum?.update(chunk);
    }
    if (this.#checksum !== undefined) this.#tail = lastBytes(this.#tail, piece.bytes);
    if (piece.position === "last") this.#verify();
    return this.#output;
  }

  #verify(): void {
    const { contentBytes } = this.#header;
    if (contentBytes !== undefined && contentBytes !== this.#outBytes) throw invalid("a frame has not its length");
    const low = this.#checksum?.digestLow();
    if (low === undefined) return;
    const [a = 0, b = 0, c = 0, d = 0] = this.#tail;
    if (low !== ((a | (b << 8) | (c << 16) | (d << 24)) >>> 0)) throw invalid("a frame has not its checksum");
  }
}

/** The last four bytes of two chunks. */
function lastBytes(before: Uint8Array, chunk: Uint8Array): Uint8Array<ArrayBuffer> {
  if (chunk.byteLength >= 4) return chunk.slice(-4);
  return Uint8Array.from([...before, ...chunk]).slice(-4);
}

async function* orInvalid(output: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* output;
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function invalid(reason: string, cause?: unknown): StrataError<"INVALID_ARCHIVE"> {
  return new StrataError(
    "INVALID_ARCHIVE",
    `Cannot decompress zstd: ${reason}; fetch or build the blob again`,
    { stage: "decompress" },
    { cause },
  );
}
