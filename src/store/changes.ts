// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer changes: as a list, a number, or a tar.
 *
 * @module
 */
import type { Change } from "../changeset/change.ts";
import type { PackReport } from "../worker/jobs/pack_directory.ts";
import { packStream } from "../worker/pack_stream.ts";
import type { ChangesRequest } from "../worker/jobs/changes.ts";
import type { ReadingContext } from "./reading.ts";
import type { MountTarget } from "./mount.ts";
import { cacheIdOf, parentOf } from "./target.ts";

/** How two layers are compared. */
export interface CompareOptions {
  /** When it fires, the comparison fails with `ABORTED`. */
  readonly signal?: AbortSignal;
}

/** How a difference is packed. */
export interface DiffStreamOptions extends CompareOptions {
  /** Called once the tar is complete, with what it does not hold: sockets, and names that layers keep for whiteouts. */
  readonly onEnd?: (report: PackReport) => void;
}

/** A comparison of a layer. */
export interface Comparison extends CompareOptions {
  /** With what; absent: with the layer's parent. */
  readonly from?: MountTarget | undefined;
}

/**
 * The paths that differ between a layer and its parent, or another layer; sorted bytewise.
 * @throws {StrataError} `ABORTED`
 */
export async function changes(
  context: ReadingContext,
  target: MountTarget,
  { from, ...options }: Comparison = {},
): Promise<Change[]> {
  return await context.pool.run("changes", comparison(context, target, from), options);
}

/**
 * Bytes of the added and changed files, hard links once.
 * @throws {StrataError} `ABORTED`
 */
export async function diffSize(
  context: ReadingContext,
  target: MountTarget,
  { from, ...options }: Comparison = {},
): Promise<number> {
  return await context.pool.run("diffSize", comparison(context, target, from), options);
}

/**
 * The difference as a layer's tar: sorted, the same bytes for the same trees. Computed in a thread.
 * @throws {StrataError} on the stream, `ABORTED`
 */
export function diff(
  context: ReadingContext,
  target: MountTarget,
  { from, ...options }: Comparison & DiffStreamOptions = {},
): ReadableStream<Uint8Array> {
  return packStream(context.pool, comparison(context, target, from), options);
}

function comparison(context: ReadingContext, target: MountTarget, from: MountTarget | undefined): ChangesRequest {
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
