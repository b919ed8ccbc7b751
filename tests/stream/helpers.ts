// SPDX-License-Identifier: Apache-2.0
/** What the tests of streams share. */
import { chunksOf } from "../../src/stream/pipe.ts";

export interface WatchedSource {
  readonly stream: ReadableStream<Uint8Array>;
  isCancelled(): boolean;
  /** Chunks that were asked for. */
  pulled(): number;
}

/** A stream of texts that reads nothing ahead; at its end it closes, or owes the next chunk for ever. */
export function sourceOf(texts: Iterable<string>, end: "close" | "stall" = "close"): WatchedSource {
  const iterator = texts[Symbol.iterator]();
  let isCancelled = false;
  let pulled = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulled++;
      const next = iterator.next();
      if (!next.done) controller.enqueue(new TextEncoder().encode(next.value));
      else if (end === "close") controller.close();
      else return new Promise(() => {});
    },
    cancel() {
      isCancelled = true;
    },
  }, { highWaterMark: 0 });
  return { stream, isCancelled: () => isCancelled, pulled: () => pulled };
}

/** Everything, as text. */
export async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunksOf(stream)) text += new TextDecoder().decode(chunk);
  return text;
}
