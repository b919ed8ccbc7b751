// SPDX-License-Identifier: Apache-2.0
/**
 * A stream that stops in the middle until it is let go on.
 *
 * @module
 */

/** Where a stream stops. */
export interface GateOptions {
  /** Bytes that have passed when it stops. Default: one chunk. */
  readonly after?: number;
  /** Bytes of a chunk. Default: half of all. */
  readonly chunkBytes?: number;
}

/** A stream, the moment at which it stops, and what lets it go on. */
export interface GatedStream {
  readonly stream: ReadableStream<Uint8Array>;
  readonly reached: Promise<void>;
  readonly open: () => void;
}

/** The bytes as a stream that stops before its end. */
export function gatedStream(bytes: Uint8Array, options: GateOptions = {}): GatedStream {
  const { after = 0, chunkBytes = Math.ceil(bytes.length / 2) } = options;
  let reach = (): void => {};
  let open = (): void => {};
  const reached = new Promise<void>((resolve) => reach = resolve);
  const opened = new Promise<void>((resolve) => open = resolve);
  let sent = 0;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (sent >= bytes.length) return controller.close();
      if (sent > after) {
        reach();
        await opened;
      }
      controller.enqueue(bytes.slice(sent, sent += chunkBytes));
    },
  });
  return { stream, reached, open };
}
