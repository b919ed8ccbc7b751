// SPDX-License-Identifier: Apache-2.0
/**
 * Finishing what a crash cut short in the catalog: a record that never came, or went without what is its own.
 *
 * containers/storage marks such layers and deletes them when a store is opened, where a failure stops every command. Here
 * opening does nothing (I8): this is asked for, says each step, and one that fails does not keep others from being done.
 *
 * @module
 */
import type { StrataError } from "../../core/errors.ts";
import type { RecordId } from "../../core/ids.ts";
import { mountOf } from "../../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../../metadata/claims.ts";
import { asStrataError } from "../../metadata/finding.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { attempt } from "../../metadata/record_file.ts";
import { type StoreContext, underLock } from "../context.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";

/** One thing that a crash left, and what became of it. */
export interface RecoveryStep {
  /** `writable layer`: its record never came, or is gone; `data items`: no record lists them. */
  readonly kind: "writable layer" | "data items";
  /** The writable layer's name, or the record's id. */
  readonly subject: string;
  /** The record whose own it was. */
  readonly record: RecordId;
  /** Why it is still there. Absent: it is gone. */
  readonly error?: StrataError;
}

/** How a catalog is recovered. */
export interface RecoverOptions {
  /** Called after each step. */
  readonly onStep?: (step: RecoveryStep) => void;
}

/**
 * Removes what belongs to no record. What another process is at work on stays.
 * @returns what was found, in the order in which it was dealt with
 * @throws {StrataError} `LOCKED`
 */
export async function recover(
  context: StoreContext,
  { onStep = () => {} }: RecoverOptions = {},
): Promise<RecoveryStep[]> {
  context.dockerd.requireAbsent();
  const steps: RecoveryStep[] = [];
  for (const { name, record } of leftMounts(context)) {
    const step = { kind: "writable layer", subject: name, record } as const;
    const outcome = await attemptStep(context, record, () => removeMount(context, name, record));
    if (outcome !== "busy") steps.push(outcome === "done" ? step : { ...step, error: outcome });
  }
  for (const record of context.bigData.ids()) {
    const step = { kind: "data items", subject: record, record } as const;
    const outcome = await attemptStep(context, record, () => removeData(context, record));
    if (outcome !== "busy" && outcome !== "done") steps.push({ ...step, error: outcome });
    if (outcome === "done") steps.push(step);
  }
  for (const step of steps) onStep(step);
  return steps;
}

type Outcome = "done" | "busy" | StrataError;

/** Whoever makes or removes a record has the claim on it. */
async function attemptStep(
  context: StoreContext,
  record: RecordId,
  act: () => Promise<"done" | "busy">,
): Promise<Outcome> {
  using claim = context.claims.tryTake(recordClaim(record));
  if (claim === undefined) return "busy";
  try {
    return await act();
  } catch (error) {
    return asStrataError(error, `remove what is left of record "${record}"`);
  }
}

/** The writable layers that were made for records, and are no record's. */
export function leftMounts(context: StoreContext): { readonly name: MountName; readonly record: RecordId }[] {
  return [...context.mounts.list().mounts.values()].flatMap(({ name, record }) =>
    record === undefined || isOwned(context, name, record) ? [] : [{ name, record }]
  );
}

async function removeMount(context: StoreContext, name: MountName, record: RecordId): Promise<"done" | "busy"> {
  if (!context.mounts.has(name) || isOwned(context, name, record)) return "busy";
  await releaseRWLayer(context, name, { whenMounted: "unmount" });
  return "done";
}

async function removeData(context: StoreContext, record: RecordId): Promise<"done" | "busy"> {
  return await underLock(context, (lock) => {
    // A damaged record may list any of them.
    if (context.catalog.has(record) && attempt(() => context.catalog.get(record)) === undefined) return "busy";
    const listed = attempt(() => context.catalog.get(record))?.bigData ?? [];
    return context.bigData.removeUnlisted(lock, record, listed).length > 0 ? "done" : "busy";
  });
}

/** A damaged record may own whatever names it. */
function isOwned({ catalog }: StoreContext, name: MountName, id: RecordId): boolean {
  if (!catalog.has(id)) return false;
  const record = attempt(() => catalog.get(id));
  return record === undefined || mountOf(record) === name;
}
