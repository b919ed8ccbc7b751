// SPDX-License-Identifier: Apache-2.0
/**
 * Streams of which nothing is known beforehand, and that may bring the same layer at the same time.
 *
 * Two such streams on one parent that begin alike most likely are alike. So the first claims its beginning; who comes with
 * the same one waits, then keeps the stream as a file, and looks what it holds: a layer that has become known meanwhile is
 * not unpacked again. Where the guess was wrong, the layer is made from that file.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { chainOn } from "../core/chain_id.ts";
import { type ChainId, type DiffId, digestOf } from "../core/digest.ts";
import { writeFileStream } from "../host/streams.ts";
import { type Claim, headClaim } from "../metadata/claims.ts";
import type { Staging } from "../metadata/staging.ts";
import { chunksOf, streamOf } from "../stream/pipe.ts";
import { orAborted } from "../stream/signal.ts";
import { type BlobSource, readThrough } from "../worker/ingest.ts";
import { namingRoot, type StoreContext } from "./context.ts";

/** Bytes that must be alike: more than the first file of most layers. */
const HEAD_BYTES = 64 * 1024;

/** A stream whose layer is not known. */
export interface UnknownStream {
  readonly stream: ReadableStream<Uint8Array>;
  readonly parent: ChainId | undefined;
  readonly signal: AbortSignal | undefined;
}

interface BegunStream extends UnknownStream {
  /** What was read of it. */
  readonly head: readonly Uint8Array[];
}

/** What to take in, in place of the stream. Disposing of it lets others begin who wait. */
export class SoleStream implements AsyncDisposable {
  readonly source: BlobSource;
  /** What the source was found to hold. */
  readonly diffId: DiffId | undefined;
  readonly #claim: Claim | undefined;
  readonly #staging: Staging | undefined;

  private constructor(source: BlobSource, parts: { diffId?: DiffId; claim?: Claim | undefined; staging?: Staging }) {
    this.source = source;
    this.diffId = parts.diffId;
    this.#claim = parts.claim;
    this.#staging = parts.staging;
  }

  /**
   * Waits for others who are at a stream that begins alike. What it gives is to be read to its end, or cancelled.
   * @throws {StrataError} `ABORTED`, `NO_SPACE`, `INVALID_ARCHIVE`, or what the stream failed with
   */
  static async of(context: StoreContext, unknown: UnknownStream): Promise<SoleStream> {
    try {
      context.dockerd.requireAbsent();
      const head = await readHead(unknown);
      return await namingRoot(context, () => SoleStream.#begin(context, { ...unknown, head }));
    } catch (error) {
      if (!unknown.stream.locked) await unknown.stream.cancel(error).catch(() => {});
      throw error;
    }
  }

  static async #begin(context: StoreContext, begun: BegunStream): Promise<SoleStream> {
    const { stream, head, parent, signal } = begun;
    const source = { kind: "stream", stream, head } as const;
    const name = headClaim(parent, digestOf(beginningOf(head)));
    const first = context.claims.tryTake(name);
    if (first !== undefined) return new SoleStream(source, { claim: first });
    const claim = await context.claims.follow(name, { signal });
    // The other failed, or is stuck: then this stream is as good as the first.
    if (claim === undefined || !hasChildren(context, parent)) return new SoleStream(source, { claim });
    claim[Symbol.dispose]();
    return await SoleStream.#keep(context, begun);
  }

  static async #keep(context: StoreContext, begun: BegunStream): Promise<SoleStream> {
    const { stream, head, parent, signal } = begun;
    const staging = context.staging.create("compare");
    try {
      const source = { kind: "file", path: staging.path("blob") } as const;
      await writeFileStream(source.path, joined(head, stream), signal === undefined ? {} : { signal });
      const { limits } = context.settings;
      const { diffId } = await readThrough(context.pool, {
        source,
        limits,
        ...(signal === undefined ? {} : { signal }),
      });
      if (!context.layerDb.has(chainOn(parent, diffId))) return new SoleStream(source, { staging });
      return new SoleStream(source, { diffId, staging });
    } catch (error) {
      await staging[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Tells those who wait that the work goes on. */
  touch(): void {
    this.#claim?.touch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#claim?.[Symbol.dispose]();
    await this.#staging?.[Symbol.asyncDispose]();
  }
}

/** The first chunks, or all there are. The stream is free again afterwards. */
async function readHead({ stream, signal }: UnknownStream): Promise<Uint8Array[]> {
  const reader = stream.getReader();
  try {
    const chunks: Uint8Array[] = [];
    for (let bytes = 0; bytes < HEAD_BYTES;) {
      const { value } = await (signal === undefined ? reader.read() : orAborted(reader.read(), signal));
      if (value === undefined) break;
      chunks.push(value);
      bytes += value.length;
    }
    return chunks;
  } catch (error) {
    // Not waited for: a source that owes bytes may be silent for ever.
    reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    reader.releaseLock();
  }
}

/** The bytes that are compared: the same ones, however the stream is cut. */
function beginningOf(head: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(head.map((chunk) => chunk.subarray(0, HEAD_BYTES))).subarray(0, HEAD_BYTES);
}

function joined(head: readonly Uint8Array[], stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const rest = chunksOf(stream);
  return streamOf(async function* () {
    yield* head;
    yield* rest;
  }, rest);
}

function hasChildren({ layerDb }: StoreContext, parent: ChainId | undefined): boolean {
  return [...layerDb.list().layers.values()].some((layer) => layer.parent === parent);
}
