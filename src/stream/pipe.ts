// SPDX-License-Identifier: Apache-2.0
/**
 * Joining stages. Every stage pulls from the one before it, so back-pressure reaches the source; the first error wins
 * and every other stage is cancelled; an abort is `ABORTED`. Nothing here uses `tee()`, which buffers without bound.
 *
 * @module
 */
import { abortable } from "./signal.ts";

/** Anything that bytes are piped through. */
export interface ByteTransform {
  /** Takes what comes in. */
  readonly writable: WritableStream<Uint8Array>;
  /** Gives what comes out. */
  readonly readable: ReadableStream<Uint8Array>;
}

/** Takes the bytes of a pipe; a promise holds the source back until it resolves. */
export type ByteSink = (chunk: Uint8Array) => void | Promise<void>;

/** How {@link pipe} runs. */
export interface PipeOptions {
  /** Stages between source and sink, in the order in which the bytes meet them. */
  readonly through?: readonly ByteTransform[];
  readonly signal?: AbortSignal;
}

/**
 * Moves everything from the source to the sink.
 * @throws {StrataError} `ABORTED` when the signal fires
 * @throws the first error of the source, a stage or the sink
 */
export async function pipe(
  source: ReadableStream<Uint8Array>,
  sink: ByteSink,
  options: PipeOptions = {},
): Promise<void> {
  const joined = joinStages(source, options.through ?? []);
  for await (const chunk of abortable(chunksOf(joined), options.signal)) await sink(chunk);
}

/** The source seen through the stages. An error passes down to the reader, a cancel passes up to the source. */
export function joinStages(
  source: ReadableStream<Uint8Array>,
  stages: readonly ByteTransform[],
): ReadableStream<Uint8Array> {
  return stages.reduce((stream, stage) => stream.pipeThrough(stage), source);
}

/**
 * The chunks of a stream. Unlike the stream's own iterator, closing it cancels the stream even while a read is
 * pending, so a silent source cannot hold up an error.
 */
export function chunksOf(stream: ReadableStream<Uint8Array>): AsyncIterableIterator<Uint8Array> {
  const reader = stream.getReader();
  return {
    next: async () => {
      const { value } = await reader.read();
      return value === undefined ? { done: true, value: undefined } : { done: false, value };
    },
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/**
 * A stream of what an iterable gives, one item for each pull and none ahead. `make` is called at the first pull and gets
 * a signal that fires when the reader cancels. `source`, if given, is closed then, too: also when nothing was pulled
 * yet, and also while it owes an item.
 */
export function streamOf(
  make: (cancelled: AbortSignal) => AsyncIterable<Uint8Array>,
  source?: AsyncIterator<Uint8Array>,
): ReadableStream<Uint8Array> {
  const canceller = new AbortController();
  let iterator: AsyncIterator<Uint8Array> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      iterator ??= make(canceller.signal)[Symbol.asyncIterator]();
      const next = await iterator.next();
      if (canceller.signal.aborted) return;
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel(reason) {
      canceller.abort(reason);
      await source?.return?.();
      await iterator?.return?.();
    },
  }, { highWaterMark: 0 });
}

/** A stage for {@link joinStages} out of a function from chunks to chunks. */
export function transformOf(stage: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>): ByteTransform {
  const entry = new TransformStream<Uint8Array, Uint8Array>();
  const source = chunksOf(entry.readable);
  return { writable: entry.writable, readable: streamOf(() => stage(source), source) };
}
