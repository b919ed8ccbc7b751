// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting what a record stands for. Several records may stand for one layer, and so for one mount; each counts its own.
 *
 * @module
 */
import { hasCode, StrataError } from "../../core/errors.ts";
import { IDENTITY } from "../../core/id_map.ts";
import { parseRecordId } from "../../core/ids.ts";
import { mappingsOf, mountOf } from "../../metadata/catalog/catalog_record.ts";
import { recordClaim } from "../../metadata/claims.ts";
import type { MountName } from "../../metadata/mounts.ts";
import { attempt } from "../../metadata/record_file.ts";
import type { StoreContext } from "../context.ts";
import { type MountOptions, type MountTarget, mountTarget, type UnmountOptions, unmountTarget } from "../mount.ts";
import { HeldLayers } from "../held_layers.ts";
import { deleteUnneeded } from "../release.ts";
import { locate, type LocatedTarget } from "../roots/locate.ts";
import { listMounts } from "../list_mounts.ts";
import { releaseRWLayer } from "../release_rw_layer.ts";
import { ensureHere } from "../roots/refer.ts";
import type { ReadOnlyRoot } from "../roots/read_only_root.ts";
import { ensureWritableHere, outsideMountName, type OutsideWritable } from "../roots/refer_to_writable.ts";
import { targetOf } from "../target.ts";
import { makeRWLayer } from "../create_rw_layer.ts";
import { heldMounts, mountedId, ownMountOf } from "./entry.ts";
import { mapsToShow } from "./record_view.ts";
import { findRecord, type FoundRecord } from "./find_record.ts";

/**
 * Mounts a record's layer and gives the path of its tree: read-only, unless it is a writable one. Each call is to be matched
 * by one {@link unmountRecord}.
 * @throws {StrataError} `NOT_FOUND`, `NOT_PERMITTED`, `NOT_SUPPORTED`, `IN_USE`, `LOCKED`
 */
export async function mountRecord(context: StoreContext, ref: string, options: MountOptions = {}): Promise<string> {
  return await mountFor(context, findRecord(context, ref), options);
}

/**
 * Mounts what a word means; for a record, where it means one alone.
 * @throws {StrataError} as {@link mountRecord}
 */
export async function mountRef(context: StoreContext, ref: string, options: MountOptions = {}): Promise<string> {
  const located = locate(context, ref);
  const found = onlyRecord(located);
  if (found !== undefined) return await mountFor(context, found, options);
  const { target, root } = located;
  if (target.kind === "writable" && root !== undefined) {
    return await mountUnrecorded(context, { root, name: target.record.name }, options);
  }
  using held = new HeldLayers(context);
  if (target.kind === "layer") await ensureHere(context, target.record.chainId, held);
  return await mountTarget(context, ownTarget(context, located), options);
}

/** A writable layer elsewhere that no record stands for, such as a container's of Docker: as if one of its name did. */
async function mountUnrecorded(
  context: StoreContext,
  { root, name }: Pick<OutsideWritable, "root" | "name">,
  options: MountOptions,
): Promise<string> {
  const recordId = attempt(() => parseRecordId(name)) ?? parseRecordId(outsideMountName(root, name));
  using held = new HeldLayers(context);
  using _claim = await context.claims.take(recordClaim(recordId));
  const record = await ensureWritableHere(context, { root, name, recordId }, held);
  return await mountTarget(context, { kind: "writable", record }, { ...options, access: "read-only" });
}

/** A layer that lies in a root that is only read is mounted through a stand-in. */
async function mountFor(context: StoreContext, found: FoundRecord, options: MountOptions): Promise<string> {
  const { record, root } = found;
  using held = new HeldLayers(context);
  using _claim = root === undefined ? undefined : await context.claims.take(recordClaim(record.id));
  if (root !== undefined) await bringHere(context, { record, root }, held);
  return await mountTarget(context, shownBy(context, found), {
    ...record.mountLabel === undefined ? {} : { label: record.mountLabel },
    ...options,
    ...record.target.kind === "layer" || root !== undefined ? { access: "read-only" } : {},
    holder: record.id,
  });
}

async function bringHere(
  context: StoreContext,
  { record, root }: Required<FoundRecord>,
  held: HeldLayers,
): Promise<void> {
  const name = mountOf(record);
  if (name !== undefined) await ensureWritableHere(context, { root, name, recordId: record.id }, held);
  if (name !== undefined || record.target.kind !== "layer") return;
  const { chainId } = record.target;
  await ensureHere(context, chainId, held);
  const wanted = mappingsOf(record) ?? root.reading.driver.spec.idMappings ?? IDENTITY;
  const view = outsideMountName(root, record.id);
  const idMappings = context.mounts.has(view) ? undefined : await mapsToShow(context, chainId, wanted);
  if (idMappings === undefined) return;
  // Another record there stands for the same layer, and its files are kept under other ids.
  await makeRWLayer(context, view, { parent: chainId, record: record.id, outside: root.path, idMappings });
}

/**
 * Gives up a record's mount.
 * @returns how many the record has left
 * @throws {StrataError} `NOT_FOUND` when it has none; `IN_USE`, `LOCKED`
 */
export async function unmountRecord(context: StoreContext, ref: string, options: UnmountOptions = {}): Promise<number> {
  const found = findRecord(context, ref);
  const { record } = found;
  if (mountedTimes(context, found) === 0) {
    throw notMounted(record.id);
  }
  await giveUp(context, shownBy(context, found), { ...options, holder: record.id });
  return mountedTimes(context, found);
}

function notMounted(ref: string): StrataError<"NOT_FOUND"> {
  const message = `Cannot unmount "${ref}": this record has not mounted its layer; "strata mounts" lists what is`;
  return new StrataError("NOT_FOUND", message, { kind: "mount", ref });
}

/** What only stood for a layer elsewhere, so that it could be mounted, goes with the last mount. */
async function giveUp(context: StoreContext, target: MountTarget, options: UnmountOptions): Promise<number> {
  const left = await unmountTarget(context, target, options);
  if (left > 0 || target.record.outside === undefined) return left;
  if (target.kind === "layer") await deleteUnneeded(context, target.record.chainId);
  else await releaseRWLayer(context, target.record.name);
  return left;
}

/**
 * Gives up a mount of what a word means, which may be the path of the mount: the record's own, where it means one that has
 * some, else nobody's in particular.
 * @returns how many the record, or the layer, has left
 * @throws {StrataError} `NOT_FOUND` when there is none; `IN_USE`, `LOCKED`
 */
export async function unmountRef(context: StoreContext, ref: string, options: UnmountOptions = {}): Promise<number> {
  const path = ref.replace(/\/+$/, "");
  const byPath = ref.includes("/") ? listMounts(context).find((mounted) => mounted.path === path) : undefined;
  if (byPath !== undefined) return await giveUp(context, byPath.target, options);
  const located = locateMounted(context, ref);
  const found = onlyRecord(located);
  if (!isHere(context, located)) throw notMounted(ref);
  if (found?.root !== undefined && mountedTimes(context, found) === 0) throw notMounted(found.record.id);
  if (found === undefined) return await giveUp(context, ownTarget(context, located), options);
  const { id } = found.record;
  if (mountedTimes(context, found) > 0) return await unmountRecord(context, id, options);
  return await giveUp(context, shownBy(context, found), { ...options, holder: id });
}

/** What begins as a path does is one, unless something is called so. */
function locateMounted(context: StoreContext, ref: string): LocatedTarget {
  try {
    return locate(context, ref);
  } catch (error) {
    if (ref.startsWith("/") && hasCode(error, "NOT_FOUND")) throw nothingAt(ref);
    throw error;
  }
}

function nothingAt(path: string): StrataError<"NOT_FOUND"> {
  const message = `Cannot unmount "${path}": this store has mounted nothing there; "strata mounts" lists what is`;
  return new StrataError("NOT_FOUND", message, { kind: "mount", ref: path });
}

function onlyRecord({ target: { recordIds }, reading: { catalog }, root }: LocatedTarget): FoundRecord | undefined {
  const [id, ...others] = recordIds;
  if (id === undefined || others.length > 0 || !catalog.has(id)) return undefined;
  return { record: catalog.get(id), ...(root === undefined ? {} : { root }) };
}

/**
 * A target of another root as the store itself has it.
 * @throws {StrataError} `NOT_FOUND` when it has not
 */
function ownTarget({ layerDb, mounts }: StoreContext, { target, root }: LocatedTarget): MountTarget {
  return target.kind === "layer"
    ? { kind: "layer", record: layerDb.read(target.record.chainId) }
    : { kind: "writable", record: mounts.read(ownNameOf(target.record.name, root)) };
}

/** Whether the store itself has a target, or what stands for it; for records, their mounts tell. */
function isHere({ layerDb, mounts }: StoreContext, { target, root }: LocatedTarget): boolean {
  if (root === undefined) return true;
  if (target.kind === "layer") return layerDb.has(target.record.chainId);
  return target.recordIds.length > 0 || mounts.has(ownNameOf(target.record.name, root));
}

function ownNameOf(name: MountName, root: ReadOnlyRoot | undefined): MountName {
  return root === undefined ? name : outsideMountName(root, name);
}

/** How often a record has its layer mounted now, as counts and the kernel agree. */
export function mountedTimes(context: StoreContext, found: FoundRecord): number {
  const id = mountedId(context, found);
  return id === undefined ? 0 : heldMounts(context, found, id);
}

/**
 * What mounting a record mounts.
 * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
 */
export function shownBy(context: StoreContext, found: FoundRecord): MountTarget {
  const name = ownMountOf(context, found);
  return name === undefined ? targetOf(context, found.record) : { kind: "writable", record: context.mounts.read(name) };
}
