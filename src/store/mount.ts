// SPDX-License-Identifier: Apache-2.0
/**
 * Mounting, counted across processes: the first one mounts, the last one unmounts.
 *
 * @module
 */
import { StrataError } from "../core/errors.ts";
import type { CacheId, RecordId } from "../core/ids.ts";
import type { Driver } from "../driver/driver.ts";
import type { GetOptions } from "../driver/interfaces/proto_driver.ts";
import { mountAt } from "../host/mount_table.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { MountState } from "../metadata/mount_counts.ts";
import type { MountRecord } from "../metadata/mounts.ts";
import { requireWritable } from "../metadata/root_access.ts";
import type { StoreContext } from "./context.ts";
import { HeldLayers } from "./held_layers.ts";
import { cacheIdOf } from "./target.ts";

/** What can be mounted: a writable layer, or a stack of layers for reading. */
export type MountTarget =
  | { readonly kind: "writable"; readonly record: MountRecord }
  | { readonly kind: "layer"; readonly record: LayerRecord };

/** How something is mounted. */
export interface MountOptions {
  /** The catalog record that takes it: only through that one can it be given up. Absent: nobody in particular. */
  readonly holder?: RecordId | undefined;
  /** SELinux label of the mount. Default: the one that a writable layer was made with. */
  readonly label?: string;
  /** Stacks of layers are always mounted read-only. */
  readonly access?: "read-only";
  /** Further options for mount(8), such as `noexec`. */
  readonly options?: readonly string[];
}

/** How a mount is given up. */
export interface UnmountOptions {
  /** The catalog record whose mount it is. Absent: nobody's in particular. */
  readonly holder?: RecordId | undefined;
  /** `one` (the default) lets the others keep theirs; `all` unmounts for everybody. */
  readonly release?: "one" | "all";
}

/**
 * Mounts a target and gives the path of its tree; each call is to be matched by one unmount.
 * @throws {StrataError} `LOCKED` while a dockerd holds the root: mount points are made below it, and its mounts are not
 *   counted; `NOT_PERMITTED` in a store that this user may not change; `IN_USE` for a writable layer that is mounted in
 *   another namespace, or for reading when it is to be written to
 */
export async function mountTarget(context: StoreContext, target: MountTarget, options: MountOptions): Promise<string> {
  context.dockerd.requireAbsent();
  // Others would not see that it is in use.
  requireWritable(context.layout.root);
  if (target.kind === "writable") return await countMount(context, target, options);
  // Until it is counted; from then on the count keeps the layer.
  using held = new HeldLayers(context);
  return await countMount(context, { kind: "layer", record: held.read(target.record.chainId) }, options);
}

async function countMount(context: StoreContext, target: MountTarget, options: MountOptions): Promise<string> {
  const { driver, mountCounts, settings } = context;
  const id = cacheIdOf(target);
  const access = options.access ?? (target.kind === "layer" ? "read-only" : undefined);
  const mountLabel = options.label ?? (target.kind === "layer" ? undefined : target.record.mountLabel);
  const request: GetOptions = {
    ...(access === undefined ? {} : { access }),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(options.options === undefined ? {} : { mountOptions: options.options }),
  };
  let path: string | undefined;
  await mountCounts.increment(id, {
    ...stateOf(context, target),
    holder: options.holder,
    timeoutMs: settings.lockTimeoutMs,
    whenFirst: async () => {
      // A layer may be shown in many places; two mounts that write to one directory spoil each other's view.
      if (target.kind === "writable") requireFree(context, target);
      path = await driver.get(id, request);
    },
  });
  return path ?? await joinMount(context, target, { request, holder: options.holder });
}

/** The path of what is mounted already. What the driver refuses is not counted. */
async function joinMount(
  context: StoreContext,
  target: MountTarget,
  { request, holder }: { readonly request: GetOptions; readonly holder: RecordId | undefined },
): Promise<string> {
  const { driver, mountCounts, settings } = context;
  const id = cacheIdOf(target);
  try {
    return await driver.get(id, request);
  } catch (error) {
    const whenLast = () => driver.put(id);
    const timeoutMs = settings.lockTimeoutMs;
    await mountCounts.decrement(id, { ...stateOf(context, target), holder, timeoutMs, whenLast });
    throw error;
  }
}

/**
 * Gives up a mount.
 * @returns how many are left
 * @throws {StrataError} `NOT_FOUND` when it is not mounted, `IN_USE` when it is in another namespace; `LOCKED`
 */
export async function unmountTarget(
  context: StoreContext,
  target: MountTarget,
  options: UnmountOptions = {},
): Promise<number> {
  context.dockerd.requireAbsent();
  const { driver, mountCounts, settings } = context;
  const id = cacheIdOf(target);
  if (mountCounts.read(id, stateOf(context, target)) === 0) {
    requireFree(context, target);
    throw notMounted(target);
  }
  return await mountCounts.decrement(id, {
    ...stateOf(context, target),
    ...options,
    timeoutMs: settings.lockTimeoutMs,
    whenLast: () => driver.put(id),
  });
}

/** How often a layer's directory is mounted now, here or in the namespaces of others. */
export function mountCount(context: StoreContext, id: CacheId, access: "writable" | "read-only"): number {
  const elsewhere = context.mountCounts.mountedBy(id) === undefined ? 0 : 1;
  return ownMountCount(context, id, access) + elsewhere;
}

/** How often a layer's directory is mounted where this process sees it. */
export function ownMountCount(context: StoreContext, id: CacheId, access: "writable" | "read-only"): number {
  return context.mountCounts.read(id, kernelState(context.driver, { id, access }));
}

/**
 * Makes sure that nothing is mounted where this process cannot reach it.
 * @throws {StrataError} `IN_USE`
 */
export function requireFree({ mountCounts }: StoreContext, target: MountTarget): void {
  const maker = mountCounts.mountedBy(cacheIdOf(target));
  if (maker === undefined) return;
  const name = nameOf(target);
  throw new StrataError(
    "IN_USE",
    `Cannot reach the mount of "${name}": it is in the user namespace of process ${maker.pid}; work there, or end it`,
    { kind: "mount", name, usedBy: [`process ${maker.pid}`] },
  );
}

/** Whose count it is: a writable layer has one, however it is mounted. */
function stateOf({ driver }: StoreContext, target: MountTarget): MountState {
  return kernelState(driver, { id: cacheIdOf(target), access: target.kind === "layer" ? "read-only" : "writable" });
}

/** How to ask the kernel whether a layer is mounted; for trees that need no mount, the count alone is right. */
function kernelState(driver: Driver, layer: { id: CacheId; access: "writable" | "read-only" }): MountState {
  const { kind, path } = driver.treeOf(layer.id, layer.access);
  return kind === "mount" ? { isMounted: () => mountAt(path) !== undefined } : {};
}

function nameOf(target: MountTarget): string {
  return target.kind === "layer" ? target.record.chainId : target.record.name;
}

function notMounted(target: MountTarget): StrataError {
  const name = nameOf(target);
  return new StrataError("NOT_FOUND", `Cannot unmount "${name}": it is not mounted; "strata mounts" lists what is`, {
    kind: "mount",
    ref: name,
  });
}
