// SPDX-License-Identifier: Apache-2.0
/**
 * What gc would remove from a store that looks as it was seen. Pure: it decides, and touches nothing.
 *
 * Everything on disk that no record leads to is garbage by definition. What tells the dead from what is just being made is,
 * in this order: a lock that somebody holds; a record; and where neither can be there yet, the age.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { Debris } from "../driver/interfaces/layer_upkeep.ts";
import type { FoundLayer } from "../driver/interfaces/proto_driver.ts";
import type { LeftTrial } from "../driver/overlay/mounting/namespace_trial.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { WithdrawnLayer } from "../metadata/layerdb.ts";
import type { StagingEntry } from "../metadata/staging.ts";
import type { TemporaryFile } from "../metadata/temporary_files.ts";
import type { LeftData, LeftMount } from "./catalog/leftovers.ts";

/** A store as it was seen. */
export interface GcSnapshot {
  /** Layers that can be used. */
  readonly layers: readonly GcLayer[];
  /** How many things need a layer, layers on top included; layers that nothing needs may be left out. */
  readonly userCounts: ReadonlyMap<ChainId, number>;
  /** Layers whose deletion was begun. */
  readonly orphans: readonly WithdrawnLayer[];
  /** The driver's directories. */
  readonly directories: readonly FoundLayer[];
  /** Directories that records name, damaged ones included. */
  readonly named: ReadonlySet<CacheId>;
  /** Directories that those rely on, by the driver's own files. */
  readonly needed: ReadonlySet<CacheId>;
  /** Directories that somebody is making or removing. */
  readonly claimed: ReadonlySet<CacheId>;
  readonly debris: readonly Debris[];
  readonly staging: readonly StagingEntry[];
  readonly temporary: readonly TemporaryFile[];
  /** What trials of user namespaces left, in the root or beside it. */
  readonly trials: readonly LeftTrial[];
  /** Files of holds and claims of ended processes, and notes on mounts that are none. */
  readonly deadHolds: readonly string[];
  readonly deadClaims: readonly string[];
  readonly staleCounts: readonly CacheId[];
  /** Files of names that no record stands behind. */
  readonly strayNames: readonly string[];
  /** What is left of records that never came, or are gone, and that nobody is at or has mounted. */
  readonly leftMounts: readonly LeftMount[];
  readonly leftData: readonly LeftData[];
}

/** A layer, and when it was recorded. */
export interface GcLayer extends Pick<LayerRecord, "chainId" | "parent" | "cacheId" | "sizeBytes"> {
  /** Milliseconds since 1970. */
  readonly recordedMs: number;
}

/** What kinds of things gc removes. */
export type GcKind =
  /** A layer that nothing needs. */
  | "layer"
  /** A layer whose deletion was begun and not finished. */
  | "orphan"
  /** A directory of the driver that no record names. */
  | "directory"
  /** What else is in the driver's home and no layer's. */
  | "debris"
  /** What an operation left that did not end. */
  | "staging"
  | "temporary"
  /** What a trial of user namespaces left, before the root was made. */
  | "trial"
  /** A hold or a claim of an ended process. */
  | "hold"
  | "claim"
  /** A note on mounts that are none. */
  | "mount count"
  /** A name that no record stands behind. */
  | "name"
  /** A writable layer that was made for a record which never came, or is gone. */
  | "writable layer"
  /** Data items that no record lists. */
  | "data items";

/** Something that is to be removed. */
export interface GcItem {
  /** What kind of thing it is. */
  readonly kind: GcKind;
  /** Which one: a ChainID, a cache id, a path, a name or a record's id. */
  readonly subject: string;
  /** Why it is garbage, for people. */
  readonly reason: string;
  /** Bytes that go with it, where they are known without a look at every file. */
  readonly sizeBytes?: number;
}

/** How gc decides. */
export interface GcLimits {
  readonly nowMs: number;
  /** What is younger stays, unless its owner is known to be dead. Milliseconds. */
  readonly minAgeMs: number;
}

/** A file between being made and being named is so for milliseconds, and so are trials of what the kernel can. */
const WRITE_MS_MAX = 60_000;

/** Decides what is to be removed: layers first, children before parents. */
export function planGc(snapshot: GcSnapshot, { nowMs, minAgeMs }: GcLimits): GcItem[] {
  const isOld = (modifiedMs: number): boolean => nowMs - modifiedMs >= minAgeMs;
  const isUnwritten = (modifiedMs: number): boolean => nowMs - modifiedMs >= Math.max(minAgeMs, WRITE_MS_MAX);
  return [
    ...unneededLayers(snapshot, isOld),
    ...snapshot.orphans.filter(({ cacheId }) => cacheId === undefined || !snapshot.claimed.has(cacheId)).map(
      orphanItem,
    ),
    ...unnamedDirectories(snapshot, isOld),
    ...snapshot.debris
      .filter(({ modifiedMs, use }) => use === "none" ? isOld(modifiedMs) : isUnwritten(modifiedMs))
      .filter(({ cacheId }) => cacheId === undefined || !snapshot.claimed.has(cacheId))
      .map(({ path, what }) => itemOf("debris", path, what)),
    ...snapshot.staging.flatMap((entry) => abandoned(entry, isOld)),
    ...snapshot.temporary.filter(({ modifiedMs }) => isUnwritten(modifiedMs)).map(({ path, what }) =>
      itemOf("temporary", path, what)
    ),
    ...snapshot.trials.filter(({ modifiedMs }) => isUnwritten(modifiedMs)).map(({ path }) =>
      itemOf("trial", path, "its process has ended")
    ),
    ...snapshot.deadHolds.map((name) => itemOf("hold", name, "its process has ended")),
    ...snapshot.deadClaims.map((name) => itemOf("claim", name, "its process has ended")),
    ...snapshot.staleCounts.map((id) => itemOf("mount count", id, "it is not mounted")),
    ...snapshot.strayNames.map((file) => itemOf("name", file, "no record stands behind it")),
    ...leftOfRecords(snapshot, isOld),
  ];
}

/** Each layer that goes may leave the one below without a user. */
function unneededLayers({ layers, userCounts }: GcSnapshot, isOld: (ms: number) => boolean): GcItem[] {
  const byId = new Map(layers.map((layer) => [layer.chainId, layer]));
  const left = new Map(userCounts);
  const items: GcItem[] = [];
  const pending = layers.filter(({ chainId }) => (left.get(chainId) ?? 0) === 0);
  for (let layer = pending.pop(); layer !== undefined; layer = pending.pop()) {
    const { chainId, parent, sizeBytes, recordedMs } = layer;
    if (!isOld(recordedMs)) continue;
    items.push({ ...itemOf("layer", chainId, "nothing needs it"), sizeBytes });
    if (parent === undefined) continue;
    const users = (left.get(parent) ?? 1) - 1;
    left.set(parent, users);
    const below = byId.get(parent);
    if (users === 0 && below !== undefined) pending.push(below);
  }
  return items;
}

function unnamedDirectories(snapshot: GcSnapshot, isOld: (ms: number) => boolean): GcItem[] {
  const { directories, named, needed, claimed, orphans } = snapshot;
  // They go with their orphans.
  const going = new Set(orphans.map(({ cacheId }) => cacheId));
  return directories
    .filter(({ cacheId: id, modifiedMs }) => {
      return !named.has(id) && !needed.has(id) && !claimed.has(id) && !going.has(id) && isOld(modifiedMs);
    })
    .map(({ cacheId }) => itemOf("directory", cacheId, "no record names it"));
}

function leftOfRecords({ leftMounts, leftData }: GcSnapshot, isOld: (ms: number) => boolean): GcItem[] {
  return [
    ...leftMounts.filter(({ createdMs }) => isOld(createdMs)).map(({ name, record }) =>
      itemOf("writable layer", name, `it was made for record "${record}", which does not have it`)
    ),
    ...leftData.filter(({ modifiedMs }) => isOld(modifiedMs)).map(({ record, sizeBytes }) => ({
      ...itemOf("data items", record, "no record lists them"),
      sizeBytes,
    })),
  ];
}

function orphanItem({ path }: WithdrawnLayer): GcItem {
  return itemOf("orphan", path, "its deletion was not finished");
}

function abandoned({ dir, state, owner, modifiedMs }: StagingEntry, isOld: (ms: number) => boolean): GcItem[] {
  if (state === "live" || (state === "unclaimed" && !isOld(modifiedMs))) return [];
  return [itemOf("staging", dir, owner === undefined ? "nobody works in it" : `its ${owner.what} has ended`)];
}

function itemOf(kind: GcKind, subject: string, reason: string): GcItem {
  return { kind, subject, reason };
}
