// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer changes: as a list, a number, or a tar.
 *
 * @module
 */
import type { Change } from "../changeset/change.ts";
import { packStream } from "../worker/pack_stream.ts";
import type { ChangesRequest } from "../worker/jobs/changes.ts";
import type { StoreContext } from "./context.ts";
import type { MountTarget } from "./mount.ts";
import { cacheIdOf, parentOf } from "./target.ts";

/** The paths that differ between a layer and its parent, or another layer; sorted bytewise. */
export function changes(context: StoreContext, target: MountTarget, from?: MountTarget): Promise<Change[]> {
  return context.pool.run("changes", comparison(context, target, from));
}

/** Bytes of the added and changed files, hard links once. */
export function diffSize(context: StoreContext, target: MountTarget, from?: MountTarget): Promise<number> {
  return context.pool.run("diffSize", comparison(context, target, from));
}

/** The difference as a layer's tar: sorted, the same bytes for the same trees. Computed in a thread. */
export function diff(context: StoreContext, target: MountTarget, from?: MountTarget): ReadableStream<Uint8Array> {
  return packStream(context.pool, comparison(context, target, from));
}

function comparison(context: StoreContext, target: MountTarget, from: MountTarget | undefined): ChangesRequest {
  const parent = parentOf(target);
  const below = from !== undefined
    ? cacheIdOf(from)
    : target.kind === "writable" && target.record.initId !== undefined
    ? target.record.initId
    : parent === undefined
    ? undefined
    : context.layerDb.read(parent).cacheId;
  return { driver: context.driver.spec, id: cacheIdOf(target), from: below };
}
