// SPDX-License-Identifier: Apache-2.0
/**
 * Removing records, with what is their own: the writable layer, the data items, and the layers that nothing needs after
 * that. The record goes first (I1); what a crash leaves of the rest, `recover` and `gc` remove.
 *
 * @module
 */
import type { ChainId } from "../../core/digest.ts";
import { hasCode, StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { type CatalogRecord, mountOf } from "../../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../../metadata/claims.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { attempt } from "../../metadata/record_file.ts";
import { type StoreContext, underLock } from "../context.ts";
import type { DeletedLayer } from "../layer.ts";
import { References } from "../references.ts";
import { deleteUnneeded } from "../release.ts";
import { requireFree } from "../mount.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import { findOwnRecord } from "./find_record.ts";
import { mountedTimes, unmountRecord } from "./mount_record.ts";

/** How a record is removed. */
export interface RemoveRecordOptions {
  /**
   * What to do when it is mounted, or is the last record of a layer that something else needs: refuse, or unmount it and
   * remove the record all the same, and leave the layer. Default `refuse`.
   */
  readonly whenUsed?: "refuse" | "remove";
}

/**
 * Removes a record, by its id, a name or a prefix: the checks are the same. A damaged one can be removed, too.
 * @returns the layers that went with it, top first
 * @throws {StrataError} `NOT_FOUND`, `AMBIGUOUS`; `NOT_PERMITTED` in a root that is only read; `IN_USE` when it is mounted,
 *   or is the last record of a layer that something else needs
 */
export async function deleteRecord(
  context: StoreContext,
  ref: string,
  options: RemoveRecordOptions = {},
): Promise<DeletedLayer[]> {
  context.dockerd.requireAbsent();
  const found = findDamagedToo(context, ref);
  using _claim = await context.claims.take(recordClaim(found.id));
  if (found.record !== undefined) await requireUnused(context, found.record, options);
  await underLock(context, (lock) => {
    context.catalog.remove(lock, found.id);
    context.bigData.removeUnlisted(lock, found.id, []);
  });
  const deleted: DeletedLayer[] = [];
  for (const name of ownMounts(context, found)) deleted.push(...await releaseRWLayer(context, name));
  return [...deleted, ...await deleteUnneeded(context, chainOf(found.record))];
}

/**
 * Removes all records, and the layers that nothing needs after that; what images and other processes need stays.
 * @returns the layers that went, in the order in which they did
 * @throws {StrataError} `IN_USE` when something is mounted, before anything is removed; `LOCKED`
 */
export async function wipe(context: StoreContext, options: RemoveRecordOptions = {}): Promise<DeletedLayer[]> {
  const { records, findings } = context.catalog.list();
  const mounted = records.filter((record) => mountedTimes(context, { record }) > 0);
  if (options.whenUsed !== "remove" && mounted[0] !== undefined) {
    throw stillMounted(mounted[0], mountedTimes(context, { record: mounted[0] }));
  }
  const damaged = findings.filter(({ severity, kind }) => severity === "broken" && kind === "record");
  const ids = [...records.map(({ id }) => id as string), ...damaged.map(({ subject }) => subject)].reverse();
  const deleted: DeletedLayer[] = [];
  for (const id of ids) {
    try {
      deleted.push(...await deleteRecord(context, id, { whenUsed: "remove" }));
    } catch (error) {
      // Another process was faster.
      if (!hasCode(error, "NOT_FOUND")) throw error;
    }
  }
  return deleted;
}

interface FoundToRemove {
  readonly id: RecordId;
  /** Absent: it is damaged. */
  readonly record?: CatalogRecord;
}

function findDamagedToo(context: StoreContext, ref: string): FoundToRemove {
  try {
    const record = findOwnRecord(context, ref);
    return { id: record.id, record };
  } catch (error) {
    if (!hasCode(error, "CORRUPT")) throw error;
    const damaged = context.catalog.list().findings.find(({ kind, severity, subject }) =>
      kind === "record" && severity === "broken" && subject === ref
    );
    if (damaged === undefined) throw error;
    return { id: damaged.subject as RecordId };
  }
}

async function requireUnused(
  context: StoreContext,
  record: CatalogRecord,
  { whenUsed = "refuse" }: RemoveRecordOptions,
): Promise<void> {
  requireReachable(context, record);
  const mounts = mountedTimes(context, { record });
  if (whenUsed === "remove") {
    if (mounts > 0) await unmountRecord(context, record.id, { release: "all" });
    return;
  }
  if (mounts > 0) throw stillMounted(record, mounts);
  const chainId = chainOf(record);
  if (chainId !== undefined) refuseIfNeeded(context, record, chainId);
}

/** A writable layer that is mounted in another namespace could not go with its record. */
function requireReachable(context: StoreContext, record: CatalogRecord): void {
  const name = mountOf(record);
  const mount = name === undefined ? undefined : attempt(() => context.mounts.read(name));
  if (mount !== undefined) requireFree(context, { kind: "writable", record: mount });
}

/** The last record of a layer that something else needs is its only name: without it, nobody finds what to remove. */
function refuseIfNeeded(context: StoreContext, record: CatalogRecord, chainId: ChainId): void {
  const { layerDb, catalog } = context;
  if (!layerDb.has(chainId) || catalog.isShared(chainId)) return;
  const own = [`record ${record.id}`, "this process", `writable layer "${mountOf(record)}"`];
  const usedBy = new References(context).to(chainId).filter((user) => !own.includes(user));
  if (usedBy.length > 0) throw inUse(record, usedBy);
}

function stillMounted({ id, target }: CatalogRecord, mounts: number): StrataError<"IN_USE"> {
  return new StrataError(
    "IN_USE",
    `Cannot remove record "${id}": it is mounted (${mounts}); unmount it first, or use force`,
    {
      kind: target.kind === "layer" ? "layer" : "writable layer",
      name: target.kind === "layer" ? target.chainId : target.mountName,
      usedBy: [`${mounts} mount${mounts === 1 ? "" : "s"}`],
    },
  );
}

function inUse(record: CatalogRecord, usedBy: readonly string[]): StrataError<"IN_USE"> {
  const name = chainOf(record) ?? record.id;
  return new StrataError(
    "IN_USE",
    `Cannot remove record "${record.id}": ${usedBy.join(", ")} ${usedBy.length === 1 ? "needs" : "need"} its layer; ` +
      "remove that first, or use force, which takes the record away and leaves what is needed",
    { kind: "layer", name, usedBy },
  );
}

function chainOf(record: CatalogRecord | undefined): ChainId | undefined {
  return record?.target.kind === "layer" ? record.target.chainId : undefined;
}

/** A damaged record does not tell its writable layer; that one tells its record. */
function ownMounts({ mounts }: StoreContext, { id, record }: FoundToRemove): MountName[] {
  if (record !== undefined) {
    const name = mountOf(record);
    return name !== undefined && mounts.has(name) ? [name] : [];
  }
  return [...mounts.list().mounts.values()].filter((mount) => mount.record === id).map(({ name }) => name);
}
