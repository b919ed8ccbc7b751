// SPDX-License-Identifier: Apache-2.0
/**
 * Checking a store, and putting right what can be. A check changes nothing. A repair does what a finding says, no more:
 * without force nothing is given up.
 *
 *   safe     a layer's short name and its list of layers below; names and records of the catalog that disagree; the writable
 *            layers by which records are shown under ids of their own
 *   forced   records that are damaged are moved to `strata/quarantine`, so that nothing stumbles over them; data items that
 *            are damaged are given up
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerLocation } from "../driver/interfaces/layer_sealer.ts";
import { chainOf } from "../metadata/chain.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { requireWritable } from "../metadata/root_access.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { type StoreContext, underLock } from "./context.ts";
import { dropData, remakeViews } from "./fsck_catalog.ts";
import { findDamage, type FsckFinding, locationsBelow } from "./fsck_check.ts";

/** How a store is checked. */
export interface FsckOptions {
  /** `records` (the default) looks at records and directories; `contents` rebuilds every layer's archive, and reads data items, as well. */
  readonly depth?: "records" | "contents";
  /** What to do about findings: nothing (the default), what loses nothing, or also what gives up what is damaged. */
  readonly repair?: "none" | "safe" | "forced";
  /** Aborting leaves what is not looked at yet. */
  readonly signal?: AbortSignal;
}

/** What a check found. */
export interface FsckReport {
  /** `clean`: nothing worse than garbage was found, or is left. */
  readonly state: "clean" | "damaged";
  /** What is not as it should be; after a repair, what is left. */
  readonly findings: readonly FsckFinding[];
  /** What a repair put right. */
  readonly repaired: readonly FsckFinding[];
}

/** A repair that shows more damage than it puts right so often does not end. */
const PASSES_MAX = 4;

/**
 * Checks a store, and repairs it if asked to.
 * @throws {StrataError} `ABORTED`; with a repair, `LOCKED`, `NOT_PERMITTED`, `NO_SPACE`
 */
export async function fsck(context: StoreContext, options: FsckOptions = {}): Promise<FsckReport> {
  const { repair = "none" } = options;
  if (repair !== "none") requireWritable(context.layout.root);
  const before = await findDamage(context, options);
  let chosen = before.filter((finding) => isChosen(finding, repair));
  if (chosen.length === 0) return reportOf(before, []);
  // What is put right may show what lies behind it: a layer's name that was lost, those who do not name it rightly.
  for (let passes = 0; passes < PASSES_MAX && chosen.length > 0; passes++) {
    await underLock(context, (lock) => repairAll(context, lock, chosen));
    await remakeViews(context, chosen);
    chosen = (await findDamage(context, { signal: options.signal })).filter((finding) => isChosen(finding, repair));
  }
  const after = await findDamage(context, options);
  const left = new Set(after.map(keyOf));
  return reportOf(after, before.filter((finding) => isChosen(finding, repair) && !left.has(keyOf(finding))));
}

function isChosen(finding: FsckFinding, repair: NonNullable<FsckOptions["repair"]>): boolean {
  return finding.repair === "safe" ? repair !== "none" : finding.repair === "forced" && repair === "forced";
}

function reportOf(findings: readonly FsckFinding[], repaired: readonly FsckFinding[]): FsckReport {
  const state = findings.every(({ severity }) => severity === "info") ? "clean" : "damaged";
  return { state, findings, repaired };
}

function keyOf({ code, subject, path }: FsckFinding): string {
  return JSON.stringify([code, subject, path]);
}

async function repairAll(
  context: StoreContext,
  lock: WriteLock,
  chosen: readonly FsckFinding[],
): Promise<void> {
  const subjects = (code: FsckFinding["code"]) =>
    new Set(chosen.filter((finding) => finding.code === code).map(({ subject }) => subject));
  const inconsistent = subjects("layer-files-inconsistent");
  if (inconsistent.size > 0) await mendData(context, inconsistent);
  if (subjects("name-inconsistent").size > 0) context.catalog.repair(lock);
  dropData(context, lock, chosen);
  const damaged = subjects("layer-record-damaged");
  for (const { chainId } of context.layerDb.list().broken) {
    if (damaged.has(chainId)) context.layerDb.quarantine(lock, chainId);
  }
}

/** Lower layers first: those above name them. */
async function mendData(context: StoreContext, subjects: ReadonlySet<string>): Promise<void> {
  const { driver, layerDb, mounts } = context;
  const { layers } = layerDb.list();
  const chosen = [...layers.values()].filter(({ chainId }) => subjects.has(chainId));
  for (const { cacheId, parent } of chosen.sort(byHeight(layers))) {
    await driver.mend(cacheId, locationsBelow(context, parent, layers));
  }
  for (const { name, mountId, initId, parent } of mounts.list().mounts.values()) {
    if (!subjects.has(name)) continue;
    let below: readonly LayerLocation[] = locationsBelow(context, parent, layers);
    const mend = async (id: CacheId): Promise<void> => {
      await driver.mend(id, below);
      below = [driver.locate(id), ...below];
    };
    if (initId !== undefined) await mend(initId);
    await mend(mountId);
  }
  driver.syncHome();
}

function byHeight(layers: ReadonlyMap<ChainId, LayerRecord>) {
  const height = ({ chainId }: LayerRecord): number => chainOf(chainId, layers).length;
  return (one: LayerRecord, other: LayerRecord): number => height(one) - height(other);
}
