// SPDX-License-Identifier: Apache-2.0
/**
 * A layer's changes as a stream of tar bytes, packed in a thread.
 *
 * @module
 */
import { MessageChannel } from "node:worker_threads";
import { chunksFrom, stopChunks } from "./chunk_channel.ts";
import type { ChangesRequest } from "./jobs/changes.ts";
import type { WorkerPool } from "./pool.ts";

/** The stream; cancelling it ends the thread's work. */
export function packStream(pool: WorkerPool, request: ChangesRequest): ReadableStream<Uint8Array> {
  const { port1, port2 } = new MessageChannel();
  const packed = pool.run("pack", { ...request, output: port1 }, { transfer: [port1] });
  // The port brings the same error, and to the one who reads.
  packed.catch(() => {});
  const chunks = chunksFrom(port2);
  return new ReadableStream({
    async pull(controller) {
      const next = await chunks.next();
      if (!next.done) return controller.enqueue(next.value.slice());
      stopChunks(port2);
      await packed;
      controller.close();
    },
    cancel() {
      stopChunks(port2);
    },
  }, { highWaterMark: 0 });
}
