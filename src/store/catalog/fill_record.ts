// SPDX-License-Identifier: Apache-2.0
/**
 * Giving a record its diff. A writable layer takes any number; a layer takes the one that it awaits: a second one would make
 * its digest, its tar and its tree tell different things.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import type { BlobInfo } from "../../metadata/blob_info.ts";
import { type CatalogRecord, mappingsOf } from "../../metadata/catalog/catalog_record.ts";
import type { RecordChange } from "../../metadata/catalog/catalog_records.ts";
import { recordClaim } from "../../metadata/claims.ts";
import { applyDiff as applyToWritable, type ApplyDiffOptions } from "../apply_diff.ts";
import { type StoreContext, underLock } from "../context.ts";
import type { Layer } from "../layer.ts";
import { register, type RegisterOptions } from "../register.ts";
import { deleteUnneeded, release } from "../release.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import { type StagedItem, updateWithData } from "./big_data.ts";
import { makeView } from "./record_view.ts";
import { contentOf, heldMounts, mountedId } from "./entry.ts";
import { findOwnRecord } from "./find_record.ts";
import { ownBlob } from "./make_record.ts";

/** How a record gets its diff. */
export interface FillOptions extends ApplyDiffOptions, Pick<RegisterOptions, "expectedDiffId" | "expectedBlob"> {}

/** What a record gets. */
export interface Filling {
  /** The layer that it is to stand for. */
  readonly layer: Layer;
  /** The blob that the record is to remember. */
  readonly blob?: BlobInfo | undefined;
  /** In place of the record's text. */
  readonly metadata?: string | undefined;
  /** Set beside those that the record has. */
  readonly flags?: CatalogRecord["flags"];
  /** Data items that come with the layer. */
  readonly data?: readonly StagedItem[];
}

/** Makes what a record is to stand for, on the parent that is given. */
export type FillingMaker = (parent: Pick<RegisterOptions, "parent">) => Promise<Filling>;

/**
 * Applies a tar to a record's layer.
 * @returns the bytes that it brought
 * @throws {StrataError} `NOT_FOUND`; `CONFLICT` when the layer has its diff; `IN_USE` when it is mounted, or something lies
 *   on it; as registering a layer does. The record is as it was then
 */
export async function applyDiff(
  context: StoreContext,
  ref: string,
  { stream, ...options }: FillOptions & { readonly stream: ReadableStream<Uint8Array> },
): Promise<number> {
  try {
    const { target, id } = findOwnRecord(context, ref);
    if (target.kind === "writable") {
      const { mountName } = target;
      return await applyToWritable(context, () => context.mounts.read(mountName), { ...options, stream });
    }
    const { onProgress: report, ...rest } = options;
    const onProgress = report === undefined ? {} : { onProgress: progressTo(report) };
    const request = { ...rest, ...onProgress };
    const { content } = await fillRecord(context, id, async (parent) => {
      let blob: BlobInfo | undefined;
      const layer = await register(context, stream, { ...request, ...parent, onBlob: (read) => blob = read });
      return { layer, blob: ownBlob(layer, blob) };
    });
    return content?.sizeBytes ?? 0;
  } catch (error) {
    if (!stream.locked) await stream.cancel(error).catch(() => {});
    throw error;
  }
}

/**
 * Has a record that awaits its diff stand for a layer that is made now, and gives it what comes with that.
 * @throws {StrataError} as {@link applyDiff}
 */
export async function fillRecord(context: StoreContext, ref: string, make: FillingMaker): Promise<CatalogRecord> {
  const before = findOwnRecord(context, ref);
  context.dockerd.requireAbsent();
  using _claim = context.claims.tryTake(recordClaim(before.id)) ?? refuseBusy(before);
  requireEmpty(context, before);
  const parent = before.content?.parent;
  const filling = await make(parent === undefined ? {} : { parent });
  const { layer } = filling;
  try {
    const idMappings = mappingsOf(before);
    const view = await makeView(context, { ...before, chainId: layer.chainId, idMappings, options: before });
    const target = { kind: "layer", chainId: layer.chainId, ...(view === undefined ? {} : { view }) } as const;
    try {
      return await retarget(context, before, { ...filling, target });
    } catch (error) {
      if (view !== undefined) await releaseRWLayer(context, view);
      throw error;
    }
  } finally {
    await release(context, layer);
  }
}

async function retarget(
  context: StoreContext,
  before: CatalogRecord,
  { target, blob, metadata, flags, data = [] }: Filling & {
    readonly target: CatalogRecord["target"] & { kind: "layer" };
  },
): Promise<CatalogRecord> {
  const after = await underLock(context, (lock) => {
    const content = contentOf(context.layerDb.read(target.chainId));
    const change = (record: CatalogRecord): RecordChange => {
      requireAwaiting(record);
      return {
        target,
        content,
        flags: { ...record.flags, ...flags },
        ...(metadata === undefined ? {} : { metadata }),
        ...(blob === undefined ? {} : { blob }),
      };
    };
    return updateWithData(context, lock, { id: before.id, data, change });
  });
  if (before.target.kind !== "layer") return after;
  if (before.target.view !== undefined) await releaseRWLayer(context, before.target.view);
  await deleteUnneeded(context, before.target.chainId);
  return after;
}

/** What lies on it, or looks at it, would see another tree from one moment to the next. */
function requireEmpty(context: StoreContext, record: CatalogRecord): void {
  requireAwaiting(record);
  const { id } = record;
  const mountId = mountedId(context, { record });
  const users = [
    ...mountId !== undefined && heldMounts(context, { record }, mountId) > 0 ? ["a mount"] : [],
    ...childrenOf(context, record),
  ];
  if (users.length === 0) return;
  const message = `Cannot apply a diff to "${id}": ${users.join(", ")} would change with it; remove that first`;
  throw new StrataError("IN_USE", message, { kind: "record", name: id, usedBy: users });
}

function requireAwaiting({ id, target }: CatalogRecord): void {
  if (target.kind === "layer" && target.awaits !== undefined) return;
  const message = `Cannot apply a diff to "${id}": its layer has one, and never changes; make another layer on it`;
  throw new StrataError("CONFLICT", message, { kind: "diff", name: id });
}

/**
 * Layers and writable layers that were made on it. Where other records stand for the same layer of nothing, those that were
 * made on theirs are not told from them, but for the records that say so.
 */
function childrenOf({ layerDb, mounts, catalog }: StoreContext, { id, target }: CatalogRecord): string[] {
  if (target.kind !== "layer") return [];
  const { chainId, view } = target;
  const layers = layerDb.childrenOf(chainId).map((child) => `layer ${child.chainId}`);
  const writable = [...mounts.on(chainId).mounts.keys()].filter((name) => name !== view);
  const users = [...layers, ...writable.map((name) => `writable layer "${name}"`)];
  // Most have none; only then all records need not be read.
  if (users.length === 0 || !catalog.isShared(chainId)) return users;
  return catalog.list().records.filter(({ parent }) => parent === id).map((record) => `record ${record.id}`);
}

function progressTo(report: (bytes: number) => void): NonNullable<RegisterOptions["onProgress"]> {
  return (event) => {
    if (event.kind === "read") report(event.bytes);
  };
}

function refuseBusy({ id }: CatalogRecord): never {
  const message = `Cannot apply a diff to "${id}": another operation is at it; wait for that one to end`;
  throw new StrataError("IN_USE", message, { kind: "record", name: id, usedBy: ["another operation"] });
}
