// SPDX-License-Identifier: Apache-2.0
/**
 * Committing a writable layer: what it changes becomes a layer on its parent. Its tar comes in as any other does.
 *
 * @module
 */
import type { MountRecord } from "../metadata/mounts.ts";
import { diff } from "./changes.ts";
import type { StoreContext } from "./context.ts";
import type { Layer } from "./layer.ts";
import { register } from "./register.ts";

/** How a writable layer is committed. */
export interface CommitOptions {
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/** Registers the changes of a writable layer, which stays as it is. */
export async function commit(context: StoreContext, record: MountRecord, options: CommitOptions): Promise<Layer> {
  const stream = diff(context, { kind: "writable", record }, options);
  return await register(context, stream, {
    ...options,
    ...(record.parent === undefined ? {} : { parent: record.parent }),
  });
}
