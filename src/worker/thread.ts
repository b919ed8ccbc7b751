// SPDX-License-Identifier: Apache-2.0
/**
 * The worker thread: runs one job at a time and answers with its result or its error.
 *
 * @module
 */
import { type MessagePort, workerData } from "node:worker_threads";
import { AbortFlag } from "./abort_flag.ts";
import { type JobName, LOADERS, type Report } from "./job_map.ts";
import { publicForm, toWire, type WireError } from "./wire_error.ts";

/** What a thread is started with. */
export interface ThreadData {
  /** Brings orders, and takes the answers. */
  readonly port: MessagePort;
}

/** A job for a thread. */
export interface Order {
  readonly job: JobName;
  readonly request: unknown;
  /** An {@link AbortFlag}'s memory; absent: nobody will stop the job. */
  readonly abort?: SharedArrayBuffer;
}

/** A thread's word on its job. */
export type Answer =
  | { readonly type: "report"; readonly bytes: number }
  | { readonly type: "done"; readonly result: unknown }
  | { readonly type: "failed"; readonly error: WireError };

/** What each job does; completes "Cannot …" when a system call fails that nobody below has put into words. */
const ACTIONS: Readonly<Record<JobName, string>> = {
  adoptDiff: "take over what the differ has staged",
  apply: "apply the layer",
  changes: "compare the layers",
  checkContents: "check what a layer's tree has",
  checksum: "compute the layer's digest",
  createReadWrite: "make the writable layer",
  decode: "read the blob",
  describeDirectory: "describe the directory",
  diffSize: "compare the layers",
  hash: "read the layer",
  pack: "pack the layer",
  packDirectory: "pack the directory",
  seal: "place the layer on those below",
  shareContents: "share the contents of a layer",
  split: "read the layer",
  survey: "read the layer's tar-split",
  sync: "write the layer to the device",
  takeDirectory: "take the directory",
  unpack: "unpack the layer",
  verify: "rebuild the layer's archive",
};

const { port }: ThreadData = workerData;

port.on("message", (order: Order) => void answer(order));

async function answer({ job, request, abort }: Order): Promise<void> {
  // Not caught: a thread that cannot load its job ends, and the ports that came with the order are closed with it.
  // The pool pairs each job's name with its own request; the map's types cannot say so across a thread.
  const run = await LOADERS[job]() as (request: unknown, report: Report, abort: AbortFlag) => unknown;
  const report: Report = (bytes) => port.postMessage({ type: "report", bytes } satisfies Answer);
  try {
    const result = await run(request, report, new AbortFlag(abort));
    port.postMessage({ type: "done", result } satisfies Answer);
  } catch (error) {
    const failure = publicForm(error, ACTIONS[job]);
    port.postMessage({ type: "failed", error: toWire(failure) } satisfies Answer);
  }
}
