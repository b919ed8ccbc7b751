// SPDX-License-Identifier: Apache-2.0
/**
 * Tars that are packed in a thread, as streams.
 *
 * @module
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { streamOf } from "../stream/pipe.ts";
import { abortable } from "../stream/signal.ts";
import { chunksFrom, stopChunks } from "./chunk_channel.ts";
import type { ChangesRequest } from "./jobs/changes.ts";
import type { PackDirectoryRequest, PackReport } from "./jobs/pack_directory.ts";
import { WorkerPool } from "./pool.ts";

/** How a layer's changes are packed. */
export interface PackStreamOptions {
  readonly signal?: AbortSignal;
  /** Called once the archive is complete, with what it does not hold. */
  readonly onEnd?: (report: PackReport) => void;
}

/** A layer's changes; cancelling the stream, or the signal, ends the thread's work. */
export function packStream(
  pool: WorkerPool,
  request: ChangesRequest,
  { signal, onEnd }: PackStreamOptions = {},
): ReadableStream<Uint8Array> {
  const start = async (output: MessagePort): Promise<void> => {
    const report = await pool.run("pack", { ...request, output }, { transfer: [output] });
    onEnd?.(report);
  };
  return streamOf(() => abortable(packedChunks(start), signal));
}

/** A directory of the host, in a thread that lives as long as the stream. */
export function packDirectoryStream(
  request: Omit<PackDirectoryRequest, "output">,
  onEnd: (report: PackReport) => void,
): ReadableStream<Uint8Array> {
  return streamOf(async function* () {
    await using pool = new WorkerPool();
    yield* packedChunks(async (output) => {
      onEnd(await pool.run("packDirectory", { ...request, output }, { transfer: [output] }));
    });
  });
}

/** The chunks that a job sends, each in a buffer of its own. */
async function* packedChunks(start: (output: MessagePort) => Promise<void>): AsyncGenerator<Uint8Array> {
  const { port1, port2 } = new MessageChannel();
  const packed = start(port1);
  // The port brings the same error, and to the one who reads.
  packed.catch(() => {});
  try {
    for await (const chunk of chunksFrom(port2)) yield chunk.slice();
  } finally {
    stopChunks(port2);
  }
  await packed;
}
