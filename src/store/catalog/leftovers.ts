// SPDX-License-Identifier: Apache-2.0
/**
 * What crashes leave of records that never came, or are gone: their writable layers and data items. `recover` and gc remove
 * it; whether it is left is asked once more when that is done, under the claim on the record.
 *
 * @module
 */
import type { CacheId, RecordId } from "../../core/ids.ts";
import { statPath } from "../../host/files.ts";
import { mountOf } from "../../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../../metadata/claims.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { attempt } from "../../metadata/record_file.ts";
import { type StoreContext, underLock } from "../context.ts";
import { ownMountCount } from "../mount.ts";
import { releaseRWLayer, type ReleaseRWLayerOptions } from "../release_rw_layer.ts";

/** A writable layer that was made for a record, and is no record's. */
export interface LeftMount {
  readonly name: MountName;
  readonly record: RecordId;
  readonly mountId: CacheId;
  /** When it was made. Milliseconds since 1970. */
  readonly createdMs: number;
}

/** Data items of a record that it does not list, or that is not there. */
export interface LeftData {
  readonly record: RecordId;
  /** Of the youngest. Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly sizeBytes: number;
}

/** The writable layers that were made for records, and are no record's. */
export function leftMounts(context: StoreContext): LeftMount[] {
  return [...context.mounts.list().mounts.values()].flatMap(({ name, record, mountId, created, outside }) => {
    if (record === undefined || isOwned(context, name, record)) return [];
    // What stands for a writable layer elsewhere is needed as long as it is mounted.
    if (outside !== undefined && ownMountCount(context, mountId, "writable") > 0) return [];
    return [{ name, record, mountId, createdMs: created === undefined ? 0 : Date.parse(created) }];
  });
}

/** The records of which there are data items that none lists. */
export function leftData(context: StoreContext): LeftData[] {
  return context.bigData.ids().flatMap((record) => {
    const files = (unlisted(context, record) ?? []).flatMap((path) => statPath(path) ?? []);
    if (files.length === 0) return [];
    return [{
      record,
      modifiedMs: Math.max(...files.map(({ mtime }) => mtime.sec * 1000 + Math.floor(mtime.nsec / 1e6))),
      sizeBytes: files.reduce((sum, { size }) => sum + size, 0),
    }];
  });
}

/**
 * Removes a left writable layer, unless somebody is at it, or has come to need it.
 * @throws {StrataError} `IN_USE` when it is mounted, unless it is to be unmounted; `LOCKED`
 */
export async function removeLeftMount(
  context: StoreContext,
  { name, record }: Pick<LeftMount, "name" | "record">,
  options: ReleaseRWLayerOptions,
): Promise<"removed" | "kept"> {
  using claim = context.claims.tryTake(recordClaim(record));
  if (claim === undefined || !context.mounts.has(name) || isOwned(context, name, record)) return "kept";
  await releaseRWLayer(context, name, options);
  return "removed";
}

/**
 * Removes left data items.
 * @throws {StrataError} `LOCKED`
 */
export async function removeLeftData(context: StoreContext, record: RecordId): Promise<"removed" | "kept"> {
  using claim = context.claims.tryTake(recordClaim(record));
  if (claim === undefined) return "kept";
  return await underLock(context, (lock) => {
    const left = unlisted(context, record) ?? [];
    if (left.length === 0) return "kept";
    const listed = context.catalog.has(record) ? context.catalog.get(record).bigData ?? [] : [];
    context.bigData.removeUnlisted(lock, record, listed);
    return "removed";
  });
}

/** `undefined` for a damaged record: it may list any of them. */
function unlisted({ catalog, bigData }: StoreContext, id: RecordId): string[] | undefined {
  if (!catalog.has(id)) return bigData.unlisted(id, []);
  const record = attempt(() => catalog.get(id));
  return record && bigData.unlisted(id, record.bigData ?? []);
}

/** A damaged record may own whatever names it. */
function isOwned({ catalog }: StoreContext, name: MountName, id: RecordId): boolean {
  if (!catalog.has(id)) return false;
  const record = attempt(() => catalog.get(id));
  return record === undefined || mountOf(record) === name;
}
