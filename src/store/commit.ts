// SPDX-License-Identifier: Apache-2.0
/**
 * Committing a writable layer: what it changes becomes a layer on its parent. Its tar comes in as any other does.
 *
 * @module
 */
import type { MountRecord } from "../metadata/mounts.ts";
import type { PackReport } from "../worker/jobs/pack_directory.ts";
import { diff } from "./changes.ts";
import type { StoreContext } from "./context.ts";
import type { Layer } from "./layer.ts";
import { register } from "./register.ts";

/** How a writable layer is committed. */
export interface CommitOptions {
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
  /** Called once all is packed, with what the layer does not hold: sockets, and names that layers keep for whiteouts. */
  readonly onPacked?: (report: PackReport) => void;
}

/** Registers the changes of a writable layer, which stays as it is. */
export async function commit(context: StoreContext, record: MountRecord, all: CommitOptions): Promise<Layer> {
  const { onPacked, ...options } = all;
  const onEnd = onPacked === undefined ? {} : { onEnd: onPacked };
  const stream = diff(context, { kind: "writable", record }, { ...options, ...onEnd });
  return await register(context, stream, {
    ...options,
    ...(record.parent === undefined ? {} : { parent: record.parent }),
  });
}
