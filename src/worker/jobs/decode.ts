// SPDX-License-Identifier: Apache-2.0
/**
 * The first half of taking a layer in: from the blob's bytes to the archive's. Runs in a thread of its own, since
 * decompressing and hashing cost about the same (D10).
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { type Digest, DigestWriter } from "../../core/digest.ts";
import type { Limits } from "../../core/limits.ts";
import { decompressThrough } from "../../compression/decompress.ts";
import { type Compression, detectCompression } from "../../compression/detect.ts";
import { ZstdChunkedToc } from "../../compression/zstd_chunked.ts";
import { openForRead } from "../../host/files.ts";
import { lendChunks } from "../../host/read_chunks.ts";
import { AbortFlag } from "../abort_flag.ts";
import { ChunkSender, chunksFrom, stopChunks } from "../chunk_channel.ts";
import type { Report } from "../job_map.ts";
import { StargzTail } from "../stargz_tail.ts";
import { publicForm } from "../wire_error.ts";

/** Where a blob's bytes are. */
export type BlobInput =
  | { readonly kind: "file"; readonly path: string; readonly offset: number; readonly length: number | undefined }
  | { readonly kind: "port"; readonly port: MessagePort };

/** A blob to be decompressed into a port. */
export interface DecodeRequest {
  readonly input: BlobInput;
  readonly output: MessagePort;
  readonly limits: Limits;
  /** An {@link AbortFlag}'s memory. */
  readonly abort: SharedArrayBuffer;
}

/** What the blob turned out to be. */
export interface DecodedBlob {
  readonly compression: Compression;
  /** Digest of the blob as it came; `undefined` without compression, for then it is the DiffID. */
  readonly digest: Digest | undefined;
  /** Bytes of the blob as it came. */
  readonly sizeBytes: number;
  /** The table of contents that its end names. */
  readonly toc: FoundToc | undefined;
}

/** A table of contents. That of an eStargz blob counts only if the archive ends with the same. */
export interface FoundToc {
  readonly format: "zstd:chunked" | "eStargz";
  readonly digest: Digest;
}

/** Decompresses a blob into a port. A failure ends the port with the error, stops the sender, and is thrown. */
export async function decode(request: DecodeRequest, report: Report): Promise<DecodedBlob> {
  const output = new ChunkSender(request.output);
  const tap = new BlobTap(new AbortFlag(request.abort), report);
  try {
    const source = tap.observe(openInput(request.input));
    const { compression } = await decompressThrough(source, (chunk) => output.send(chunk), {
      limits: request.limits,
      skipped: tap.chunked,
    });
    const toc = await tap.toc();
    output.end();
    return { compression, digest: tap.digest(), sizeBytes: tap.sizeBytes, toc };
  } catch (error) {
    const failure = publicForm(error, request.input.kind === "file" ? `read "${request.input.path}"` : "read the blob");
    output.fail(failure);
    throw failure;
  } finally {
    if (request.input.kind === "port") stopChunks(request.input.port);
  }
}

function openInput(input: BlobInput): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  if (input.kind === "port") return chunksFrom(input.port);
  const { offset, length } = input;
  return lendChunks(openForRead(input.path), { offset, ...(length === undefined ? {} : { length }) });
}

/**
 * Counts a blob, and hashes it when it is compressed; otherwise the archive's digest is the blob's. Of the forms that have
 * one it finds the table of contents.
 */
class BlobTap {
  sizeBytes = 0;
  readonly chunked = new ZstdChunkedToc();
  #stargz: StargzTail | undefined;
  readonly #abort: AbortFlag;
  readonly #report: Report;
  #writer: DigestWriter | undefined;

  constructor(abort: AbortFlag, report: Report) {
    this.#abort = abort;
    this.#report = report;
  }

  async *observe(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let compression: Compression = "none";
    for await (const chunk of source) {
      if (this.sizeBytes === 0) {
        compression = detectCompression(chunk);
        if (compression !== "none") this.#writer = new DigestWriter();
        if (compression === "gzip") this.#stargz = new StargzTail();
      }
      this.#abort.check();
      this.sizeBytes += chunk.length;
      this.#report(chunk.length);
      this.#writer?.update(chunk);
      this.#stargz?.push(chunk);
      // Chunks are only lent, and some decoders keep a part of one beyond the next.
      yield compression === "none" || compression === "gzip" ? chunk : chunk.slice();
    }
  }

  digest(): Digest | undefined {
    return this.#writer?.finish();
  }

  async toc(): Promise<FoundToc | undefined> {
    const chunked = this.chunked.digest(this.sizeBytes);
    if (chunked !== undefined) return { format: "zstd:chunked", digest: chunked };
    const stargz = await this.#stargz?.digest();
    return stargz === undefined ? undefined : { format: "eStargz", digest: stargz };
  }
}
