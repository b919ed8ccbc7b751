// SPDX-License-Identifier: Apache-2.0
/**
 * gzip, RFC 1952: reading with one defined answer on every runtime, and writing without a clock or a name.
 *
 * Reading accepts any number of members, and NUL bytes after the last one: tapes and blocking writers leave them, and
 * they cannot change the content. Anything else behind the last member, a member cut short (in its header, too), and
 * a wrong CRC or length are errors. `DecompressionStream` is not used: Deno's refuses a second member. Nor is what
 * `node:zlib` does by itself enough: after a NUL it ignores whatever follows.
 *
 * @module
 */
import { createGunzip, createGzip, gzipSync } from "node:zlib";
import { StrataError } from "../core/errors.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import { GunzipPump } from "./gunzip_pump.ts";
import { ZlibPump } from "./zlib_pump.ts";

/** Chunks that are there already, or that come with time. */
export type ChunkSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Level of gzip when the caller has no wish: zlib's own default. */
const DEFAULT_LEVEL = 6;
/** Where the header tells the operating system; 255 is "unknown". zlib builds differ, so it is overwritten. */
const OS_OFFSET = 9;
const OS_UNKNOWN = 255;

/** How gzip is read. */
export interface GunzipOptions {
  /** `best` (the default) is the system's zlib where there is one; `portable` is the runtime's own. */
  readonly decoder?: "best" | "portable";
}

/**
 * What a gzip file holds, in bounded memory. A chunk is valid until the next one is asked for; so must those of the
 * source be.
 * @throws {StrataError} `INVALID_ARCHIVE` at the stage `decompress` for anything but whole members and NUL padding
 */
export async function* gunzipChunks(
  source: ChunkSource,
  { decoder = "best" }: GunzipOptions = {},
): AsyncGenerator<Uint8Array> {
  const pump = decoder === "portable" ? portablePump() : GunzipPump.open() ?? portablePump();
  let fedBytes = 0;
  let isPadding = false;
  try {
    for await (const chunk of source) {
      if (chunk.byteLength === 0) continue;
      const start = fedBytes;
      fedBytes += chunk.byteLength;
      if (isPadding) {
        requireNuls(chunk, start);
        continue;
      }
      yield* withOffset(() => pump.feed(chunk), start);
      if (pump.consumedBytes < fedBytes) {
        isPadding = true;
        requireNuls(chunk.subarray(pump.consumedBytes - start), pump.consumedBytes);
      }
    }
    if (!isPadding) yield* withOffset(() => pump.finish(), fedBytes);
  } finally {
    pump.destroy();
  }
}

function portablePump(): ZlibPump {
  return new ZlibPump(createGunzip({ chunkSize: CHUNK_BYTES }));
}

/** The bytes as one gzip member. Members may be put one after the other into a file. */
export function gzipMember(bytes: Uint8Array, level: number = DEFAULT_LEVEL): Uint8Array {
  const member = gzipSync(bytes, { level });
  member[OS_OFFSET] = OS_UNKNOWN;
  // Not the Buffer itself: its `slice` does not copy, which a caller of a Uint8Array does not expect.
  return new Uint8Array(member.buffer, member.byteOffset, member.byteLength);
}

/** The chunks as one gzip member. The same input gives the same output on the same runtime, whatever its chunks. */
export async function* gzipChunks(source: ChunkSource, level: number = DEFAULT_LEVEL): AsyncGenerator<Uint8Array> {
  const pump = new ZlibPump(createGzip({ level, chunkSize: CHUNK_BYTES }));
  let isFirst = true;
  try {
    for await (const chunk of compressed(source, pump)) {
      if (isFirst) chunk[OS_OFFSET] = OS_UNKNOWN;
      isFirst = false;
      yield chunk;
    }
  } finally {
    pump.destroy();
  }
}

async function* compressed(source: ChunkSource, pump: ZlibPump): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield* pump.feed(chunk);
  yield* pump.finish();
}

function requireNuls(bytes: Uint8Array, offset: number): void {
  const at = bytes.findIndex((byte) => byte !== 0);
  if (at < 0) return;
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot decompress gzip: data that is no gzip member at byte ${offset + at}; fetch or build the blob again`,
    { stage: "decompress", offset: offset + at },
  );
}

/** zlib does not say where in a chunk it failed, so the offset is that of the chunk. */
async function* withOffset(
  produce: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  offset: number,
): AsyncGenerator<Uint8Array> {
  try {
    yield* produce();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StrataError(
      "INVALID_ARCHIVE",
      `Cannot decompress gzip: ${reason}, at or after byte ${offset}; fetch or build the blob again`,
      { stage: "decompress", offset },
      { cause },
    );
  }
}
