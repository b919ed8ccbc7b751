// SPDX-License-Identifier: Apache-2.0
/**
 * Mark and sweep (D4): what no record leads to, and nobody is at work on, is removed.
 *
 *   look at all ─▶ plan (pure) ─▶ each victim once more under the write lock, records withdrawn ● ─▶ data without the lock
 *
 * Between the look and the sweep the store goes on changing, so the plan only says where to look again. A failure concerns
 * one victim, and is part of the result.
 *
 * @module
 */
import { parseChainId } from "../core/digest.ts";
import type { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId, parseRecordId } from "../core/ids.ts";
import { removeLeftTrial } from "../driver/overlay/mounting/namespace_trial.ts";
import { removeTreeAt } from "../host/files.ts";
import { type Claim, directoryClaim } from "../metadata/claims.ts";
import { asStrataError } from "../metadata/finding.ts";
import type { WithdrawnLayer } from "../metadata/layerdb.ts";
import { requireWritable } from "../metadata/root_access.ts";
import { leftMounts, removeLeftData, removeLeftMount } from "./catalog/leftovers.ts";
import { type StoreContext, underLock } from "./context.ts";
import { deleteLayers, removeData } from "./delete_layers.ts";
import { type GcItem, type GcKind, planGc } from "./gc_plan.ts";
import { isMounted, namedDirectories, readSnapshot } from "./gc_snapshot.ts";

/** How garbage is collected. */
export interface GcOptions {
  /** `plan` only says what would go. Default `sweep`. */
  readonly mode?: "sweep" | "plan";
  /** What is younger stays, unless its owner is known to be dead. Milliseconds; an hour by default. */
  readonly minAgeMs?: number;
  /** Ends after the victim at hand. */
  readonly signal?: AbortSignal;
}

/** What became of a piece of garbage. */
export interface GcOutcome extends GcItem {
  /** `kept`: somebody has come to need it, or is at it. */
  readonly state: "planned" | "removed" | "kept" | "failed";
  /** Why it could not be removed. */
  readonly error?: StrataError;
}

/** What gc did, or would do. */
export interface GcReport {
  /** In the order of removal. */
  readonly outcomes: readonly GcOutcome[];
  /** Bytes that went with what was removed, or would go, as far as they are known. */
  readonly freedBytes: number;
}

/** An hour: no registration that is alive looks dead for so long. */
export const GC_MIN_AGE_MS = 3_600_000;
/** Layers that are withdrawn under one lock, so that it is held for milliseconds. */
const BATCH_LAYERS = 64;

/**
 * Collects garbage.
 * @throws {StrataError} `LOCKED`, `NOT_PERMITTED`, `ABORTED`
 */
export async function collectGarbage(context: StoreContext, options: GcOptions = {}): Promise<GcReport> {
  const { mode = "sweep", minAgeMs = GC_MIN_AGE_MS, signal } = options;
  if (mode === "sweep") requireWritable(context.layout.root);
  const plan = planGc(readSnapshot(context), { nowMs: Date.now(), minAgeMs });
  const outcomes = mode === "plan" ? plan.map((item) => ended(item, "planned")) : await sweep(context, plan, signal);
  const freed = outcomes.filter(({ state }) => state === "planned" || state === "removed");
  return { outcomes, freedBytes: freed.reduce((sum, { sizeBytes = 0 }) => sum + sizeBytes, 0) };
}

type Sweeper = (context: StoreContext, item: GcItem) => Promise<"removed" | "kept">;

/** All but layers, which go in batches. */
const SWEEPERS: Readonly<Record<Exclude<GcKind, "layer">, Sweeper>> = {
  "orphan": sweepOrphan,
  "directory": sweepDirectory,
  "debris": sweepDebris,
  "staging": sweepStaging,
  "temporary": (_, { subject }) => Promise.resolve(removed(removeTreeAt(subject))),
  "trial": (_, { subject }) => Promise.resolve(removeLeftTrial(subject) === "live" ? "kept" : "removed"),
  "hold": ({ holds }) => Promise.resolve(removed(holds.removeDead())),
  "claim": ({ claims }, { subject }) => Promise.resolve(claims.removeIfDead(subject) === "live" ? "kept" : "removed"),
  "mount count": sweepMountCount,
  "name": (context) => underLock(context, (lock) => removed(context.catalog.removeStray(lock))),
  "writable layer": sweepLeftMount,
  "data items": (context, { subject }) => removeLeftData(context, parseRecordId(subject)),
};

async function sweep(context: StoreContext, plan: readonly GcItem[], signal?: AbortSignal): Promise<GcOutcome[]> {
  const layers = plan.filter(({ kind }) => kind === "layer");
  const outcomes: GcOutcome[] = [];
  for (let start = 0; start < layers.length && !signal?.aborted; start += BATCH_LAYERS) {
    outcomes.push(...await sweepLayers(context, layers.slice(start, start + BATCH_LAYERS)));
  }
  for (const item of plan) {
    if (signal?.aborted) break;
    if (item.kind !== "layer") outcomes.push(await outcomeOf(item, () => sweeperOf(item.kind)(context, item)));
  }
  return outcomes;
}

function sweeperOf(kind: GcKind): Sweeper {
  if (kind === "layer") throw new Error("Cannot sweep a layer by itself: layers go in batches");
  return SWEEPERS[kind];
}

async function sweepLayers(context: StoreContext, items: readonly GcItem[]): Promise<GcOutcome[]> {
  try {
    const candidates = items.map(({ subject }) => parseChainId(subject));
    const deleted = new Map((await deleteLayers(context, candidates)).map((layer) => [String(layer.chainId), layer]));
    return items.map((item) => {
      const layer = deleted.get(item.subject);
      if (layer === undefined) return ended(item, "kept");
      return layer.remains === undefined ? ended(item, "removed") : { ...ended(item, "failed"), error: layer.remains };
    });
  } catch (error) {
    const reason = asStrataError(error, "remove layers");
    return items.map((item) => ({ ...ended(item, "failed"), error: reason }));
  }
}

async function sweepOrphan(context: StoreContext, { subject }: GcItem): Promise<"removed" | "kept"> {
  const orphan = context.layerDb.orphans().find(({ path }) => path === subject);
  if (orphan === undefined) return "removed";
  const { cacheId } = orphan;
  if (cacheId === undefined) return removed(await removeData(context, orphan));
  const owned = await underLock(context, () => claimUnnamed(context, cacheId));
  if (owned === "claimed") return "kept";
  // A record that was moved aside may name a directory that a live one names, too: that directory stays.
  if (owned === "named") return removed(await removeData(context, withoutData(orphan)));
  using _claim = owned;
  return removed(await removeData(context, orphan));
}

async function sweepDirectory(context: StoreContext, { subject }: GcItem): Promise<"removed" | "kept"> {
  const found = context.driver.list().find(({ cacheId }) => cacheId === subject);
  if (found === undefined) return "removed";
  const owned = await underLock(context, () => claimUnnamed(context, found.cacheId));
  if (owned === "claimed" || owned === "named") return "kept";
  using _claim = owned;
  return removed(await context.driver.remove(found.cacheId));
}

/** A claim on a directory that no record names, and none relies on. Nobody comes to name such a one later. */
function claimUnnamed(context: StoreContext, id: CacheId): Claim | "claimed" | "named" {
  const { named, needed } = namedDirectories(context);
  if (named.has(id) || needed.has(id)) return "named";
  return context.claims.tryTake(directoryClaim(id)) ?? "claimed";
}

function withoutData({ chainId, path }: WithdrawnLayer): WithdrawnLayer {
  return { chainId, path };
}

async function sweepDebris(context: StoreContext, { subject }: GcItem): Promise<"removed" | "kept"> {
  const { driver } = context;
  const debris = driver.debris().find(({ path }) => path === subject);
  if (debris === undefined) return "removed";
  const { cacheId } = debris;
  if (cacheId === undefined) return removed(await driver.removeDebris(debris));
  const owned = await underLock(context, () => claimUnnamed(context, cacheId));
  if (owned === "claimed" || owned === "named") return "kept";
  using _claim = owned;
  return removed(await driver.removeDebris(debris));
}

/** Records on their way in and out have no lock of their own, but are there only under the write lock. */
async function sweepStaging(context: StoreContext, { subject: dir }: GcItem): Promise<"removed" | "kept"> {
  const { staging } = context;
  const state = staging.list().find((entry) => entry.dir === dir)?.state;
  const remove = () => staging.removeIfAbandoned({ dir }) === "live" ? "kept" : "removed";
  return state === "unclaimed" ? await underLock(context, remove) : remove();
}

async function sweepMountCount(context: StoreContext, { subject }: GcItem): Promise<"removed" | "kept"> {
  return removed(await context.mountCounts.removeStale(parseCacheId(subject), (id) => isMounted(context, id)));
}

/** One that is mounted is somebody's, be its record gone or not. */
async function sweepLeftMount(context: StoreContext, { subject }: GcItem): Promise<"removed" | "kept"> {
  const left = leftMounts(context).find(({ name }) => name === subject);
  if (left === undefined || isMounted(context, left.mountId)) return "kept";
  return await removeLeftMount(context, left, { whenMounted: "refuse" });
}

async function outcomeOf(item: GcItem, act: () => Promise<"removed" | "kept">): Promise<GcOutcome> {
  try {
    return ended(item, await act());
  } catch (error) {
    return { ...ended(item, "failed"), error: asStrataError(error, `remove "${item.subject}"`) };
  }
}

function ended(item: GcItem, state: GcOutcome["state"]): GcOutcome {
  return { ...item, state };
}

/** Says so of what has just been done. */
function removed(_done: unknown): "removed" {
  return "removed";
}
