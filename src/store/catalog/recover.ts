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
import { asStrataError } from "../../metadata/finding.ts";
import { requireWritable } from "../../metadata/root_access.ts";
import type { StoreContext } from "../context.ts";
import { leftData, leftMounts, removeLeftData, removeLeftMount } from "./leftovers.ts";

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
 * @throws {StrataError} `LOCKED`, `NOT_PERMITTED`
 */
export async function recover(
  context: StoreContext,
  { onStep = () => {} }: RecoverOptions = {},
): Promise<RecoveryStep[]> {
  context.dockerd.requireAbsent();
  requireWritable(context.layout.root);
  const steps: RecoveryStep[] = [];
  for (const left of leftMounts(context)) {
    const step = { kind: "writable layer", subject: left.name, record: left.record } as const;
    steps.push(...await outcomeOf(step, () => removeLeftMount(context, left, { whenMounted: "unmount" })));
  }
  for (const { record } of leftData(context)) {
    const step = { kind: "data items", subject: record, record } as const;
    steps.push(...await outcomeOf(step, () => removeLeftData(context, record)));
  }
  for (const step of steps) onStep(step);
  return steps;
}

/** What is kept was not left: somebody is at it. */
async function outcomeOf(step: RecoveryStep, remove: () => Promise<"removed" | "kept">): Promise<RecoveryStep[]> {
  try {
    return await remove() === "removed" ? [step] : [];
  } catch (error) {
    return [{ ...step, error: asStrataError(error, `remove what is left of record "${step.record}"`) }];
  }
}
