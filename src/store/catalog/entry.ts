// SPDX-License-Identifier: Apache-2.0
/**
 * Records as users see them: with what is not in their files.
 *
 * Where containers/storage's layer record has a field, it is here so:
 *
 * | containers/storage | here | when it is not to be trusted |
 * |---|---|---|
 * | `id`, `names`, `metadata`, `flags`, `mountlabel` | the same | |
 * | `parent` | `parent`, the record that was named; `content.parent`, the stack | the record may have been removed since |
 * | `created` | the same | of a layer that was copied in, when the copy was made |
 * | `compressed-diff-digest`, `compressed-size`, `compression` | `blob` | it is what came once: exports compress to other bytes |
 * | `diff-digest` | `content.diffId` | only `verify` tells whether the layer still gives that |
 * | `diff-size` | `content.archiveBytes` | |
 * | `toc-digest` | `blob.tocDigest` | |
 * | `uidset`, `gidset` | `uids`, `gids` | |
 * | `uidmap`, `gidmap` | `uidMap`, `gidMap` | |
 * | `big-data-names` | `bigData` | |
 * | read-only, mount point, mount count | `root`, `mountPoint`, `mountCount` | they are of the moment |
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import type { CacheId, RecordId } from "../../core/ids.ts";
import { type CatalogRecord, mountOf, type RecordContent } from "../../metadata/catalog/catalog_record.ts";
import type { Finding } from "../../metadata/finding.ts";
import type { LayerRecord } from "../../metadata/layer_record.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { attempt } from "../../metadata/record_file.ts";
import { readableRecord } from "../chains.ts";
import type { StoreContext } from "../context.ts";
import { ownMountCount } from "../mount.ts";
import { mountedIds } from "../mounted_ids.ts";
import type { ReadingContext } from "../reading.ts";
import { outsideMountName } from "../roots/refer_to_writable.ts";
import type { FoundRecord } from "./find_record.ts";

/** A record, and how things stand with it now. */
export interface CatalogEntry extends CatalogRecord {
  /** The root that it lies in, for one that is only read; absent: the store's own. */
  readonly root?: string;
  /** The users that own members of the layer's tar, before any map; absent where they are unknown or too many. */
  readonly uids?: readonly number[];
  /** The groups, likewise. */
  readonly gids?: readonly number[];
  /** What it stands for has no record of its own any more. Whether one that is there is sound, only reading it tells. */
  readonly missing?: true;
  /** Where it is mounted; absent when it is not. */
  readonly mountPoint?: string;
  /** How often it is mounted by this record. */
  readonly mountCount: number;
}

/** All records at one moment, as users see them. */
export interface EntryListing {
  /** Oldest first, those of roots that are only read after the store's own. */
  readonly entries: readonly CatalogEntry[];
  /** The store's own records that cannot be read. */
  readonly findings: readonly Finding[];
}

/** One record as its user sees it. */
export function entryOf(context: StoreContext, found: FoundRecord): CatalogEntry {
  const { record, root } = found;
  const layer = record.target.kind === "layer"
    ? readableRecord(root?.reading ?? context, record.target.chainId)
    : undefined;
  const content = record.content ?? (layer && contentOf(layer));
  return {
    ...record,
    ...(content === undefined ? {} : { content }),
    ...(hasTarget(root?.reading ?? context, record) ? {} : { missing: true }),
    ...(layer?.uids === undefined ? {} : { uids: layer.uids }),
    ...(layer?.gids === undefined ? {} : { gids: layer.gids }),
    ...(root === undefined ? {} : { root: root.path }),
    ...mountFacts(context, found, mountedId(context, found)),
  };
}

/** Which layers there are in each root: its directory is listed once, and no layer looked at. */
export class LayersThere {
  readonly #known = new Map<ReadingContext, ReadonlySet<ChainId>>();

  /** Those in a root, sound or not, in the order of their hex digits. */
  in(reading: ReadingContext): ReadonlySet<ChainId> {
    const known = this.#known.get(reading) ?? new Set(reading.layerDb.chainIds());
    this.#known.set(reading, known);
    return known;
  }
}

/** Many records. Their layers' own records are only read where a record of an earlier version does not repeat them. */
export function entriesOf(
  context: StoreContext,
  found: readonly FoundRecord[],
  there: LayersThere = new LayersThere(),
): CatalogEntry[] {
  const held = context.mountCounts.held();
  const mounted = mountedIds(context);
  return found.map((each) => {
    const { record, root } = each;
    const id = mounted.size === 0 ? undefined : held.get(record.id) ?? writableId(context, each);
    const missing = isMissing(root?.reading ?? context, record, there);
    const content = missing ? undefined : record.content ?? contentIn(root?.reading ?? context, record);
    return {
      ...record,
      ...(content === undefined ? {} : { content }),
      ...(missing ? { missing } : {}),
      ...(root === undefined ? {} : { root: root.path }),
      ...(id !== undefined && mounted.has(id) ? mountFacts(context, each, id) : { mountCount: 0 }),
    };
  });
}

/** What a record repeats of its layer's. */
export function contentOf({ diffId, parent, sizeBytes, archiveBytes }: LayerRecord): RecordContent {
  return {
    diffId,
    ...(parent === undefined ? {} : { parent }),
    sizeBytes,
    ...(archiveBytes === undefined ? {} : { archiveBytes }),
  };
}

/** The directory that mounting a record mounts, as far as it can be told. */
export function mountedId(context: StoreContext, found: FoundRecord): CacheId | undefined {
  const { target } = found.record;
  if (ownMountOf(context, found) !== undefined) return writableId(context, found);
  return (
    target.kind === "layer" ? readableRecord(context, target.chainId)?.cacheId : undefined
  );
}

/** How often a record has mounted the directory of that id. */
export function heldMounts(context: StoreContext, found: FoundRecord, id: CacheId): number {
  if (ownMountOf(context, found) !== undefined) return ownMountCount(context, id, "writable");
  return ownMountCount(context, id, "read-only") === 0 ? 0 : heldBy(context, found.record.id, id);
}

function contentIn(reading: ReadingContext, { target }: CatalogRecord): RecordContent | undefined {
  const layer = target.kind === "layer" ? readableRecord(reading, target.chainId) : undefined;
  return layer && contentOf(layer);
}

function hasTarget({ layerDb, mounts }: ReadingContext, { target }: CatalogRecord): boolean {
  return target.kind === "layer" ? layerDb.has(target.chainId) : mounts.has(target.mountName);
}

function isMissing(reading: ReadingContext, record: CatalogRecord, there: LayersThere): boolean {
  const { target } = record;
  return target.kind === "layer" ? !there.in(reading).has(target.chainId) : !hasTarget(reading, record);
}

/** The writable layer here that is mounted for a record; none for one whose layer itself is. */
export function ownMountOf({ mounts }: StoreContext, { record, root }: FoundRecord): MountName | undefined {
  const named = mountOf(record);
  if (root === undefined) return named;
  if (named !== undefined) return outsideMountName(root, named);
  const view = outsideMountName(root, record.id);
  return mounts.has(view) ? view : undefined;
}

function writableId(context: StoreContext, found: FoundRecord): CacheId | undefined {
  const { mounts } = context;
  const name = ownMountOf(context, found);
  return name === undefined ? undefined : attempt(() => mounts.read(name).mountId);
}

function heldBy({ mountCounts }: StoreContext, holder: RecordId, id: CacheId): number {
  return mountCounts.readHeld(id, holder);
}

function mountFacts(
  context: StoreContext,
  found: FoundRecord,
  id: CacheId | undefined,
): Pick<CatalogEntry, "mountCount" | "mountPoint"> {
  const count = id === undefined ? 0 : heldMounts(context, found, id);
  if (id === undefined || count === 0) return { mountCount: 0 };
  const access = ownMountOf(context, found) === undefined ? "read-only" : "writable";
  return { mountCount: count, mountPoint: context.driver.treeOf(id, access).path };
}
