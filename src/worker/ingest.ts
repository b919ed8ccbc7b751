// SPDX-License-Identifier: Apache-2.0
/**
 * Taking a blob in: one thread decodes it, another unpacks it, and this one only passes a stream on, if there is one.
 *
 *   source ─▶ decode (blob digest, decompression, limits) ─▶ unpack (DiffID, tar, tar-split, tree)
 *
 * Every stage pulls, so back-pressure reaches the source. The first error wins; the others stop.
 *
 * @module
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { DiffId, Digest } from "../core/digest.ts";
import { hasCode } from "../core/errors.ts";
import type { IdMappings } from "../core/id_map.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import type { Limits } from "../core/limits.ts";
import type { Ownership } from "../changeset/change.ts";
import type { Compression } from "../compression/detect.ts";
import { aborted, AbortFlag } from "./abort_flag.ts";
import { ChunkSender } from "./chunk_channel.ts";
import type { BlobInput, DecodedBlob } from "./jobs/decode.ts";
import type { JobRequest } from "./job_map.ts";
import type { UnpackedLayer } from "./layer_pipeline.ts";
import type { WorkerPool } from "./pool.ts";

/**
 * A blob, wherever it is: in (a part of) a file, or in a stream, which is read to its end or cancelled. What somebody has
 * read of a stream already is its head.
 */
export type BlobSource =
  | { readonly kind: "file"; readonly path: string; readonly offset?: number; readonly length?: number }
  | { readonly kind: "stream"; readonly stream: ReadableStream<Uint8Array>; readonly head?: readonly Uint8Array[] };

/** A blob to be taken in. */
export interface IngestRequest {
  readonly source: BlobSource;
  /** The layer's own directory below a staging directory; made here. */
  readonly dir: string;
  /** Where it is to lie in the end: the directory of the driver's layers. */
  readonly destination: string;
  readonly ownership: Ownership;
  /** Under which ids its owners are kept. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  readonly limits: Limits;
  readonly signal?: AbortSignal;
  /** Called with the blob's bytes that have been read since the last call. */
  readonly onProgress?: (bytes: number) => void;
}

/** What is known of a blob that was read to its end. */
export interface BlobFacts {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly compression: Compression;
  /** Digest of its table of contents, when it is a zstd:chunked or eStargz blob. */
  readonly tocDigest?: Digest;
}

/** A layer that lies unpacked in its directory. */
export interface IngestedLayer extends UnpackedLayer {
  readonly blob: BlobFacts;
}

/** A blob that is read only to know what it is. */
export type ReadRequest = Pick<IngestRequest, "source" | "limits" | "signal" | "onProgress">;

/** What a blob is, and what it holds. */
export interface ReadBlob {
  readonly blob: BlobFacts;
  /** Digest of the uncompressed archive. */
  readonly diffId: DiffId;
  /** Bytes of the uncompressed archive. */
  readonly archiveBytes: number;
}

/**
 * Takes a blob in. When it fails, all stages have stopped; the directory is the caller's to remove.
 * @throws {StrataError} by stage: `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `NO_SPACE`, `ABORTED`; errors of the stream as they are
 */
export async function ingest(pool: WorkerPool, request: IngestRequest): Promise<IngestedLayer> {
  const { dir, destination, ownership, idMappings, limits } = request;
  const job = { dir, destination, ownership, idMappings, limits };
  return await joinStages(
    pool,
    request,
    (input) => pool.run("unpack", { input, ...job }, { transfer: [input] }),
  );
}

/**
 * Reads a blob to its end without unpacking it: it is known already, and only has to be what was expected.
 * @throws {StrataError} `INVALID_ARCHIVE`, `LIMIT_EXCEEDED`, `ABORTED`; errors of the stream as they are
 */
export async function readThrough(pool: WorkerPool, request: ReadRequest): Promise<ReadBlob> {
  return await joinStages(pool, request, (input) => pool.run("hash", { input }, { transfer: [input] }));
}

/** A blob whose tree lies elsewhere. */
export interface SplitBlobRequest extends ReadRequest, Omit<JobRequest<"split">, "input"> {}

/**
 * As {@link readThrough}, and writes the tar-split by which the tree that is there gives the archive back.
 * @throws {StrataError} as {@link readThrough}
 */
export async function splitThrough(pool: WorkerPool, request: SplitBlobRequest): Promise<ReadBlob> {
  const { tarSplitPath, driver, stack } = request;
  return await joinStages(pool, request, (input) => {
    return pool.run("split", { input, tarSplitPath, driver, stack }, { transfer: [input] });
  });
}

/** What the last stage tells of the archive, whatever else it does. */
type LastFacts = Pick<UnpackedLayer, "diffId"> & Partial<Pick<UnpackedLayer, "indexDigest">>;

/** Runs the first stages, and the last one that the caller has, which takes the uncompressed bytes. */
async function joinStages<T extends LastFacts>(
  pool: WorkerPool,
  { limits, signal, source, onProgress }: ReadRequest,
  runLast: (input: MessagePort) => Promise<T>,
): Promise<T & { readonly blob: BlobFacts }> {
  if (signal?.aborted) throw aborted(signal.reason);
  const between = new MessageChannel();
  const flag = new AbortFlag();
  const stop = new AbortController();
  stop.signal.addEventListener("abort", () => flag.raise());
  const onAbort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  // The first failure stops the other stages: a source may be silent for ever.
  const stopping = <R>(stage: Promise<R>): Promise<R> => {
    stage.catch((error) => stop.abort(error));
    return stage;
  };
  const { input, ports, pump } = openSource(source);
  try {
    const [pumped, decoded, last] = await Promise.allSettled([
      stopping(pump(stop.signal)),
      stopping(pool.run("decode", { input, output: between.port1, limits, abort: flag.shared }, {
        transfer: [between.port1, ...ports],
        ...(onProgress === undefined ? {} : { onReport: onProgress }),
      })),
      stopping(runLast(between.port2)),
    ]);
    const failure = firstCause([pumped, decoded, last]);
    if (failure !== undefined) throw signal?.aborted ? aborted(signal.reason) : failure;
    return withFacts(valueOf(decoded), valueOf(last));
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

interface OpenSource {
  readonly input: BlobInput;
  readonly ports: readonly MessagePort[];
  /** Passes the source's bytes on; for a file there is nothing to do. */
  readonly pump: (signal: AbortSignal) => Promise<void>;
}

function openSource(source: BlobSource): OpenSource {
  if (source.kind === "file") {
    const { path, offset, length } = source;
    return { input: { kind: "file", path, offset: offset ?? 0, length }, ports: [], pump: () => Promise.resolve() };
  }
  const { port1, port2 } = new MessageChannel();
  return {
    input: { kind: "port", port: port2 },
    ports: [port2],
    pump: (signal) => pumpStream(source, { port: port1, signal }),
  };
}

async function pumpStream(
  { stream, head }: BlobSource & { readonly kind: "stream" },
  to: { port: MessagePort; signal: AbortSignal },
): Promise<void> {
  const sender = new ChunkSender(to.port);
  // The job keeps the process alive as long as it runs; where its thread is gone, nobody would close the port.
  to.port.unref();
  const reader = stream.getReader();
  const onAbort = (): void => void reader.cancel(to.signal.reason).catch(() => {});
  to.signal.addEventListener("abort", onAbort);
  try {
    let sinceTurn = 0;
    for (const chunk of head ?? []) await sender.send(chunk);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      await sender.send(next.value);
      sinceTurn += next.value.length;
      if (sinceTurn < CHUNK_BYTES) continue;
      // A source that always has bytes would keep timers and sockets waiting until all buffers are out.
      sinceTurn = 0;
      await nextTurn();
    }
    if (to.signal.aborted) throw aborted(to.signal.reason);
    sender.end();
  } catch (error) {
    sender.fail(error);
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    to.signal.removeEventListener("abort", onAbort);
    reader.releaseLock();
  }
}

/** The error that made the others: one that is no mere consequence (a stage told to stop), the earliest stage first. */
function firstCause(outcomes: readonly PromiseSettledResult<unknown>[]): unknown {
  const failures = outcomes.filter((outcome) => outcome.status === "rejected").map((outcome) => outcome.reason);
  return failures.find((failure) => !hasCode(failure, "ABORTED")) ?? failures[0];
}

function valueOf<T>(outcome: PromiseSettledResult<T>): T {
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

function withFacts<T extends LastFacts>(decoded: DecodedBlob, last: T): T & { readonly blob: BlobFacts } {
  const { compression, sizeBytes, digest = last.diffId, toc } = decoded;
  const isToc = toc !== undefined && (toc.format === "zstd:chunked" || toc.digest === last.indexDigest);
  return { ...last, blob: { digest, sizeBytes, compression, ...(isToc ? { tocDigest: toc.digest } : {}) } };
}
