// SPDX-License-Identifier: Apache-2.0
/**
 * Checking the catalog, and putting right what can be: records, their names, the writable layers through which they are
 * shown, and their data items.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { hasCode } from "../core/errors.ts";
import type { RecordId } from "../core/ids.ts";
import { statPath } from "../host/files.ts";
import type { BigDataItem, CatalogRecord } from "../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../metadata/claims.ts";
import type { WriteLock } from "../metadata/write_lock.ts";
import { throwIfAborted } from "../stream/signal.ts";
import { verified } from "./catalog/big_data.ts";
import { makeView } from "./catalog/record_view.ts";
import { type StoreContext, underLock } from "./context.ts";
import type { CheckOptions, FsckFinding } from "./fsck_check.ts";
import { AGAIN, damage, removal, REPAIR, strayFile } from "./fsck_finding.ts";
import { releaseRWLayer } from "./release_rw_layer.ts";

/**
 * What is wrong with the catalog.
 * @param layers those that can be used
 * @throws {StrataError} `ABORTED`
 */
export async function checkCatalog(
  context: StoreContext,
  layers: { has(chainId: ChainId): boolean },
  options: CheckOptions,
): Promise<FsckFinding[]> {
  const { records, findings } = context.catalog.list();
  const damaged = findings.map(({ severity, subject, path, error }) =>
    severity === "stray"
      ? strayFile(subject, { path, problem: error.message })
      : damage("catalog-record-damaged", subject, { path, problem: error.message, remedy: removal(subject) })
  );
  const strays = context.bigData.strays().map((path) =>
    strayFile(path, { path, problem: "it is no record's directory" })
  );
  return [
    ...damaged,
    ...records.flatMap((record) => checkTarget(context, record, layers)),
    ...await checkData(context, records, options),
    ...strays,
    ...checkNames(context),
  ];
}

function checkTarget(
  { layout, mounts }: StoreContext,
  { id, target }: CatalogRecord,
  layers: { has(chainId: ChainId): boolean },
): FsckFinding[] {
  const path = layout.recordPath(id);
  const isThere = target.kind === "layer" ? layers.has(target.chainId) : mounts.has(target.mountName);
  if (!isThere) {
    const problem = `it stands for ${target.kind === "layer" ? target.chainId : target.mountName}, which is not here`;
    return [damage("catalog-record-dangling", id, { path, problem, remedy: `${AGAIN}, or ${removal(id)}` })];
  }
  if (target.kind === "writable" || target.view === undefined || mounts.has(target.view)) return [];
  const problem = `the writable layer "${target.view}", by which it is shown under its ids, is not here`;
  return [{
    code: "catalog-view-missing",
    severity: "repairable",
    subject: id,
    path,
    problem,
    remedy: REPAIR,
    repair: "safe",
  }];
}

async function checkData(
  context: StoreContext,
  records: readonly CatalogRecord[],
  { depth, signal }: CheckOptions,
): Promise<FsckFinding[]> {
  const findings: FsckFinding[] = [];
  for (const { id, bigData = [] } of records) {
    for (const item of bigData) {
      throwIfAborted(signal);
      const path = context.bigData.path(id, item.digest);
      const problem = faultOf(path, item) ?? (depth === "contents" ? await faultIn(path, item) : undefined);
      if (problem !== undefined) findings.push(dataFinding(id, item, { path, problem }));
    }
  }
  return findings;
}

function faultOf(path: string, { size }: BigDataItem): string | undefined {
  const file = statPath(path);
  if (file === undefined) return "is missing";
  return file.size === size ? undefined : `has ${file.size} bytes, and ${size} were kept`;
}

async function faultIn(path: string, item: BigDataItem): Promise<string | undefined> {
  try {
    await verified(path, item).pipeTo(new WritableStream());
    return undefined;
  } catch (error) {
    if (!hasCode(error, "CORRUPT")) throw error;
    return "holds other bytes than were kept";
  }
}

function dataFinding(
  id: RecordId,
  { key }: BigDataItem,
  { path, problem }: { readonly path: string; readonly problem: string },
): FsckFinding {
  const word = JSON.stringify(key);
  return {
    ...damage("data-item-damaged", id, {
      path,
      problem: `the file of data item ${word} ${problem}`,
      remedy: `set it again, with "strata data set ${id} ${/^[\w.-]+$/.test(key) ? key : word} -f FILE"`,
    }),
    repair: "forced",
  };
}

function checkNames({ catalog }: StoreContext): FsckFinding[] {
  return catalog.nameFindings().map(({ record, subject, path, error }): FsckFinding => ({
    code: "name-inconsistent",
    severity: record === undefined ? "info" : "repairable",
    subject,
    path,
    problem: error.message,
    remedy: REPAIR,
    repair: "safe",
  }));
}

/** Gives up data items: records list them no more. */
export function dropData({ catalog, bigData }: StoreContext, lock: WriteLock, chosen: readonly FsckFinding[]): void {
  const paths = new Set(chosen.flatMap(({ code, path }) => code === "data-item-damaged" ? [path] : []));
  for (const { id, bigData: listed = [] } of paths.size === 0 ? [] : catalog.list().records) {
    const left = listed.filter(({ digest }) => !paths.has(bigData.path(id, digest)));
    if (left.length === listed.length) continue;
    catalog.update(lock, id, () => ({ bigData: left }));
    bigData.removeUnlisted(lock, id, left);
  }
}

/**
 * Makes the writable layers anew by which records are shown: nobody writes to them, so nothing is lost. Not under the write
 * lock, which making one takes.
 * @throws {StrataError} `NO_SPACE`, `LOCKED`
 */
export async function remakeViews(context: StoreContext, chosen: readonly FsckFinding[]): Promise<void> {
  const ids = new Set(chosen.flatMap(({ code, subject }) => code === "catalog-view-missing" ? [subject] : []));
  for (const record of ids.size === 0 ? [] : context.catalog.list().records) {
    if (ids.has(record.id)) await remakeView(context, record);
  }
}

async function remakeView(context: StoreContext, record: CatalogRecord): Promise<void> {
  const { id, target, uidMap: uids, gidMap: gids } = record;
  using claim = context.claims.tryTake(recordClaim(id));
  if (claim === undefined || target.kind !== "layer" || uids === undefined || gids === undefined) return;
  const { chainId } = target;
  const view = await makeView(context, { id, chainId, idMappings: { uids, gids }, options: record });
  if (view === undefined) return;
  try {
    await underLock(context, (lock) => context.catalog.update(lock, id, () => ({ target: { ...target, view } })));
  } catch (error) {
    await releaseRWLayer(context, view);
    throw error;
  }
}
