// SPDX-License-Identifier: Apache-2.0
/**
 * Layers that are made as they are read: files of several sizes, whose content hardly compresses. Nothing of it is kept.
 *
 * @module
 */
import { fromText } from "../src/core/bytes.ts";
import { TarWriter } from "../src/tar/writer.ts";

/** What is made. */
export interface GeneratedLayer {
  /** Bytes of all files, about. */
  readonly sizeBytes: number;
  /** Layers of different seeds differ. */
  readonly seed: number;
}

const KIB = 1024;
const FILE_SIZES = [300, 4 * KIB, 40 * KIB, 700 * KIB, 9000 * KIB];
const MTIME = { sec: 1_600_000_000, nsec: 0 };
/** Long enough that gzip, which looks 32 KiB back, finds nothing of it twice. */
const NOISE = makeNoise(1024 * KIB);

/** The layer's tar. Each pull gives about a chunk, so the stream holds next to nothing. */
export function generatedLayer(layer: GeneratedLayer): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunks = chunksOf(layer);
  return new ReadableStream({
    pull(controller) {
      const next = chunks.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
  }, { highWaterMark: 0 });
}

function* chunksOf({ sizeBytes, seed }: GeneratedLayer): Generator<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  // The noise itself is passed on, so that what is measured is not this generator's garbage.
  const writer = new TarWriter((bytes) => pieces.push(isNoise(bytes) ? bytes : bytes.slice()));
  for (let made = 0, index = 0; made < sizeBytes; index++) {
    const size = FILE_SIZES[index % FILE_SIZES.length] ?? 0;
    made += size;
    const name = fromText(`d${index % 100}/f${index}`);
    writer.entry({ name, type: "file", mode: 0o644, uid: 0, gid: 0, mtime: MTIME, size });
    for (let left = size, at = (index * 7919 + seed) % KIB; left > 0; at = 0) {
      const piece = NOISE.subarray(at, at + left);
      writer.data(piece);
      left -= piece.length;
      yield* pieces.splice(0);
    }
  }
  writer.end();
  yield* pieces.splice(0);
}

function isNoise(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer === NOISE.buffer;
}

/** A pseudo-random sequence (xorshift32): the same bytes on every run. */
function makeNoise(sizeBytes: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(sizeBytes / Uint32Array.BYTES_PER_ELEMENT);
  let state = 0x9e3779b9;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state >>> 0;
  }
  return new Uint8Array(words.buffer);
}
