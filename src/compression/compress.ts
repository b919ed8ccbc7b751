// SPDX-License-Identifier: Apache-2.0
/**
 * Compressing what is exported. The output depends on the runtime's library: an exported layer is known by the digest
 * of its tar, a compressed blob's digest is only what was seen.
 *
 * @module
 */
import zlib from "node:zlib";
import { CHUNK_BYTES } from "../core/limits.ts";
import { type ByteTransform, transformOf } from "../stream/pipe.ts";
import { throughProgram } from "./external.ts";
import { gzipChunks } from "./gzip.ts";
import { packChunks } from "./pack.ts";
import { ZlibPump } from "./zlib_pump.ts";

/** What can be written. */
export type WritableCompression = "none" | "gzip" | "zstd";

/** How to compress. */
export interface CompressOptions {
  /** The format's own scale. Default: 6 for gzip, 3 for zstd, as their programs have it. */
  readonly level?: number;
  /** Aborting ends both sides with an error. */
  readonly signal?: AbortSignal;
}

/**
 * A stage that compresses.
 * @throws {StrataError} in the stream: `NOT_SUPPORTED` for zstd where neither the runtime nor the host has it
 */
export function compressStream(compression: WritableCompression, options: CompressOptions = {}): ByteTransform {
  return transformOf((source) => packChunks(compressChunks(source, compression, options)));
}

function compressChunks(
  source: AsyncIterable<Uint8Array>,
  compression: WritableCompression,
  options: CompressOptions,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case "none":
      return source;
    case "gzip":
      return gzipChunks(source, options.level);
    case "zstd":
      return typeof zlib.createZstdCompress === "function"
        ? zstdNatively(source, options.level ?? ZSTD_LEVEL)
        : zstdByProgram(source, options);
  }
}

const ZSTD_LEVEL = 3;

async function* zstdNatively(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Uint8Array> {
  const { ZSTD_c_compressionLevel, ZSTD_c_checksumFlag } = zlib.constants;
  const params = { [ZSTD_c_compressionLevel]: level, [ZSTD_c_checksumFlag]: 1 };
  const pump = new ZlibPump(zlib.createZstdCompress({ chunkSize: CHUNK_BYTES, params }));
  try {
    for await (const chunk of source) yield* pump.feed(chunk);
    yield* pump.finish();
  } finally {
    pump.destroy();
  }
}

function zstdByProgram(source: AsyncIterable<Uint8Array>, options: CompressOptions): AsyncIterable<Uint8Array> {
  return throughProgram(source, {
    program: "zstd",
    args: ["-c", "-q", "--check", "-T1", `-${options.level ?? ZSTD_LEVEL}`],
    debianPackage: "zstd",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}
