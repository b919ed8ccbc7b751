// SPDX-License-Identifier: Apache-2.0
/**
 * One decompression step, exactly: what comes out is not looked at again, so an archive that holds itself cannot keep
 * anybody busy. Which step is told by the first bytes. Limits are checked while bytes flow.
 *
 * @module
 */
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import { ByteMeter } from "../stream/limit.ts";
import { chunksOf, streamOf } from "../stream/pipe.ts";
import { abortable } from "../stream/signal.ts";
import { type Compression, detectCompression, HEAD_BYTES } from "./detect.ts";
import { gunzipChunks } from "./gzip.ts";
import { packChunks } from "./pack.ts";
import type { SkippedFrames } from "./zstd_frames.ts";

/** How to decompress. */
export interface DecompressOptions {
  /** Default: {@link DEFAULT_LIMITS}. */
  readonly limits?: Pick<Limits, "unpackedBytesMax" | "ratioMax" | "zstdWindowLogMax">;
  readonly signal?: AbortSignal;
  /** Told once, before the first chunk comes out. */
  readonly onDetected?: (compression: Compression) => void;
  /** Is told of frames of a zstd stream that are no data. */
  readonly skipped?: SkippedFrames;
}

/** Takes a chunk, which is its own from then on: it may keep or transfer it. A promise holds the source back. */
export type ChunkSink = (chunk: Uint8Array<ArrayBuffer>) => void | Promise<void>;

/** What a decompression did. */
export interface DecompressResult {
  readonly compression: Compression;
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
}

/**
 * Decompresses the source into the sink, in chunks of 1 MiB. When anything fails, the source is closed.
 * @throws {StrataError} `INVALID_ARCHIVE` at the stage `decompress`, `LIMIT_EXCEEDED`, `NOT_SUPPORTED` for a program
 * that is missing, `ABORTED`
 */
export function decompressTo(
  source: AsyncIterable<Uint8Array>,
  sink: ChunkSink,
  options: DecompressOptions = {},
): Promise<DecompressResult> {
  return run(source, options, async (chunks) => {
    for await (const chunk of packChunks(chunks)) await sink(chunk);
  });
}

/**
 * As {@link decompressTo}, without a copy: chunks are of any size, and valid only until the sink's promise settles.
 * @throws {StrataError} as {@link decompressTo}
 */
export function decompressThrough(
  source: AsyncIterable<Uint8Array>,
  sink: (chunk: Uint8Array) => void | Promise<void>,
  options: DecompressOptions = {},
): Promise<DecompressResult> {
  return run(source, options, async (chunks) => {
    for await (const chunk of chunks) await sink(chunk);
  });
}

async function run(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
  drain: (chunks: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<DecompressResult> {
  const meter = new ByteMeter(options.limits ?? DEFAULT_LIMITS);
  let compression: Compression = "none";
  const onDetected = (found: Compression) => {
    compression = found;
    options.onDetected?.(found);
  };
  await drain(decompressChunks(source, { ...options, meter, onDetected }));
  return { compression, compressedBytes: meter.inBytes, uncompressedBytes: meter.outBytes };
}

/** The source decompressed, as {@link decompressTo} does it. The stream owns the source and fails as that throws. */
export function decompressStream(
  source: ReadableStream<Uint8Array>,
  options: DecompressOptions = {},
): ReadableStream<Uint8Array> {
  const meter = new ByteMeter(options.limits ?? DEFAULT_LIMITS);
  const chunks = chunksOf(source);
  return streamOf((cancelled) => {
    return packChunks(decompressChunks(chunks, { ...options, meter, signal: anyOf(cancelled, options.signal) }));
  }, chunks);
}

async function* decompressChunks(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions & { readonly meter: ByteMeter },
): AsyncGenerator<Uint8Array> {
  // A program may still be fed from a source that is silent when the sink fails: this ends the wait.
  const closing = new AbortController();
  const signal = anyOf(closing.signal, options.signal);
  const input = abortable(source, signal);
  try {
    const head = await readHead(input);
    const compression = detectCompression(head);
    options.onDetected?.(compression);
    const counted = countIn(startWith(head, input), options.meter);
    yield* countOut(await decode(counted, { ...options, compression, signal }), options.meter);
  } finally {
    closing.abort();
    await input.return(undefined);
  }
}

function anyOf(own: AbortSignal, caller: AbortSignal | undefined): AbortSignal {
  return caller === undefined ? own : AbortSignal.any([caller, own]);
}

/** What few layers need is loaded when one does: each thread that decompresses would load it. */
async function decode(
  input: AsyncIterable<Uint8Array>,
  options: DecompressOptions & { readonly compression: Compression; readonly signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  const { compression, limits, signal, skipped } = options;
  switch (compression) {
    case "none":
      return input;
    case "gzip":
      return gunzipChunks(input);
    case "zstd": {
      const { unzstdChunks } = await import("./zstd.ts");
      return unzstdChunks(input, { skipped, ...(limits === undefined ? {} : { limits }) });
    }
    case "xz":
    case "bzip2": {
      const { decompressWithProgram } = await import("./external.ts");
      return decompressWithProgram(input, {
        program: compression,
        windowLogMax: (limits ?? DEFAULT_LIMITS).zstdWindowLogMax,
        signal,
      });
    }
  }
}

/** The first chunk, put together from several where the first is too short to tell. */
async function readHead(input: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  let head = new Uint8Array(0);
  while (head.byteLength < HEAD_BYTES) {
    const next = await input.next();
    if (next.done) break;
    if (head.byteLength === 0 && next.value.byteLength >= HEAD_BYTES) return next.value;
    const longer = new Uint8Array(head.byteLength + next.value.byteLength);
    longer.set(head);
    longer.set(next.value, head.byteLength);
    head = longer;
  }
  return head;
}

async function* startWith(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.byteLength > 0) yield head;
  yield* rest;
}

async function* countIn(source: AsyncIterable<Uint8Array>, meter: ByteMeter): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    meter.countIn(chunk.byteLength);
    yield chunk;
  }
}

async function* countOut(source: AsyncIterable<Uint8Array>, meter: ByteMeter): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    meter.countOut(chunk.byteLength);
    yield chunk;
  }
}
