// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting what a record stands for. Several records may stand for one layer, and so for one mount; each counts its own.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { type CatalogRecord, mountOf } from "../../metadata/catalog/catalog_record.ts";
import { parseMountName } from "../../metadata/mounts.ts";
import type { StoreContext } from "../context.ts";
import { type MountOptions, type MountTarget, mountTarget, type UnmountOptions, unmountTarget } from "../mount.ts";
import { resolveTarget, type Target, targetOf } from "../target.ts";
import { heldMounts, mountedId } from "./entry.ts";
import { findRecord } from "./find_record.ts";

/**
 * Mounts a record's layer and gives the path of its tree: read-only, unless it is a writable one. Each call is to be matched
 * by one {@link unmountRecord}.
 * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `NOT_SUPPORTED`, `IN_USE`, `LOCKED`
 */
export async function mountRecord(context: StoreContext, ref: string, options: MountOptions = {}): Promise<string> {
  return await mountFor(context, findRecord(context, ref).record, options);
}

/**
 * Mounts what a word means; for a record, where it means one alone.
 * @throws {StrataError} as {@link mountRecord}
 */
export async function mountRef(context: StoreContext, ref: string, options: MountOptions = {}): Promise<string> {
  const target = resolveTarget(context, ref);
  const record = onlyRecord(context, target);
  return record === undefined ? await mountTarget(context, target, options) : await mountFor(context, record, options);
}

async function mountFor(context: StoreContext, record: CatalogRecord, options: MountOptions): Promise<string> {
  return await mountTarget(context, shownBy(context, record), {
    ...record.mountLabel === undefined ? {} : { label: record.mountLabel },
    ...options,
    ...record.target.kind === "layer" ? { access: "read-only" } : {},
    holder: record.id,
  });
}

/**
 * Gives up a record's mount.
 * @returns how many the record has left
 * @throws {StrataError} `NOT_FOUND` when it has none; `IN_USE`, `LOCKED`
 */
export async function unmountRecord(context: StoreContext, ref: string, options: UnmountOptions = {}): Promise<number> {
  const { record } = findRecord(context, ref);
  if (mountedTimes(context, record) === 0) {
    const message =
      `Cannot unmount "${record.id}": this record has not mounted its layer; "strata mounts" lists what is`;
    throw new StrataError("NOT_FOUND", message, { kind: "mount", ref: record.id });
  }
  await unmountTarget(context, shownBy(context, record), { ...options, holder: record.id });
  return mountedTimes(context, record);
}

/**
 * Gives up a mount of what a word means: the record's own, where it means one that has some, else nobody's in particular.
 * @returns how many the record, or the layer, has left
 * @throws {StrataError} `NOT_FOUND` when there is none; `IN_USE`, `LOCKED`
 */
export async function unmountRef(context: StoreContext, ref: string, options: UnmountOptions = {}): Promise<number> {
  const target = resolveTarget(context, ref);
  const record = onlyRecord(context, target);
  if (record === undefined) return await unmountTarget(context, target, options);
  if (mountedTimes(context, record) > 0) return await unmountRecord(context, record.id, options);
  return await unmountTarget(context, shownBy(context, record), { ...options, holder: record.id });
}

function onlyRecord({ catalog }: StoreContext, { recordIds }: Target): CatalogRecord | undefined {
  const [id, ...others] = recordIds;
  return id === undefined || others.length > 0 || !catalog.has(id) ? undefined : catalog.get(id);
}

/** How often a record has its layer mounted now, as counts and the kernel agree. */
export function mountedTimes(context: StoreContext, record: CatalogRecord): number {
  const id = mountedId(context, record);
  return id === undefined ? 0 : heldMounts(context, record, id);
}

/**
 * What mounting a record mounts.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
 */
export function shownBy(context: StoreContext, record: CatalogRecord): MountTarget {
  const name = mountOf(record);
  return name === undefined
    ? targetOf(context, record)
    : { kind: "writable", record: context.mounts.read(parseMountName(name)) };
}
