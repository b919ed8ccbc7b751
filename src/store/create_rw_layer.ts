// SPDX-License-Identifier: Apache-2.0
/**
 * Making a writable layer. moby, layer/layer_store.go, `CreateRWLayer`.
 *
 *   layers of the parent ◀─ <mount id>-init, if there is an init function ◀─ <mount id>
 *
 * What the init function does becomes a layer of its own below the writable one, so that it is no change of it. The data
 * of both comes first, then the record (I1). When anything fails, neither is left.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, parseCacheId, randomCacheId, type RecordId } from "../core/ids.ts";
import { checkIdMappings, type IdMappings } from "../core/id_map.ts";
import { CHAIN_DEPTH_MAX } from "../core/limits.ts";
import { directoryClaim } from "../metadata/claims.ts";
import { type MountName, type MountRecord, parseMountName } from "../metadata/mounts.ts";
import { throwIfAborted } from "../stream/signal.ts";
import { recordsOf } from "./chains.ts";
import { namingRoot, type StoreContext, syncUnlessVolatile, underLock } from "./context.ts";
import { HeldLayers } from "./held_layers.ts";
import { mountCount, type MountTarget } from "./mount.ts";
import type { RWLayer } from "./rw_layer.ts";
import { ensureHere } from "./roots/refer.ts";
import { cacheIdOf } from "./target.ts";

/** How a writable layer is made. */
export interface CreateRWLayerOptions {
  /** The stack it sits on. Absent: it begins empty. */
  readonly parent?: ChainId;
  /**
   * The layer or writable layer whose own files it begins with, as its own changes; it lies on what that lies on. Absent:
   * it begins without changes.
   */
  readonly template?: MountTarget;
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /**
   * Prepares the tree at a path, such as a container's mount points. What it does shows in the writable layer's tree, and
   * never in its changes, size or tar.
   */
  readonly initFunction?: (path: string) => void | Promise<void>;
  /**
   * The ids under which it is shown and kept, for a container with users of its own. The layers below are mapped when it is
   * mounted, where the kernel can; elsewhere they are copied. Absent: as the store keeps its layers.
   */
  readonly idMappings?: IdMappings;
  /** The driver's options, `size` among them where quotas work. */
  readonly storageOptions?: Readonly<Record<string, string>>;
  /** Aborting leaves nothing behind. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a writable layer.
 * @throws {StrataError} `CONFLICT` when the name is taken, `INVALID_ARGUMENT` for one that cannot be used, `NOT_FOUND` for
 *   the parent, `MAX_DEPTH` when that is deeper than a chain can be, `NOT_SUPPORTED` for a storage option, `NO_SPACE`,
 *   `LOCKED`, `ABORTED`
 * @throws whatever the init function throws
 */
export async function createRWLayer(
  context: StoreContext,
  name: string,
  options: CreateRWLayerOptions = {},
): Promise<RWLayer> {
  context.dockerd.requireAbsent();
  return context.handles.retainRW(await makeRWLayer(context, name, options));
}

/** A writable layer that may be a catalog record's own. */
export interface MakeRWLayerOptions extends CreateRWLayerOptions {
  /** The record that is to follow. */
  readonly record?: RecordId;
  /** The root in which that record lies, for one that only serves to show a layer there. */
  readonly outside?: string;
}

/**
 * As {@link createRWLayer}, without a handle.
 * @throws {StrataError} as {@link createRWLayer}
 */
export async function makeRWLayer(
  context: StoreContext,
  name: string,
  options: MakeRWLayerOptions,
): Promise<MountRecord> {
  const onParent = withParentOf(context, options);
  const record = recordFor(parseMountName(name), onParent);
  requireFree(context, record.name);
  throwIfAborted(options.signal);
  return await namingRoot(context, () => create(context, record, onParent));
}

async function create(
  context: StoreContext,
  record: MountRecord,
  { parent, template, initFunction, signal }: CreateRWLayerOptions,
): Promise<MountRecord> {
  const { driver, layerDb, mounts } = context;
  using held = new HeldLayers(context);
  // Until the record is there, the directories are garbage for gc.
  using _claim = context.claims.tryTake(directoryClaim(record.mountId));
  if (parent !== undefined) await ensureHere(context, parent, held);
  if (template?.kind === "layer") held.add(template.record.chainId);
  try {
    const below = parent === undefined ? undefined : usableParent(context, parent);
    if (initFunction !== undefined) await makeInit(context, record, { below, initFunction, signal });
    const copied = template === undefined ? {} : { template: cacheIdOf(template) };
    const lower = record.initId ?? below;
    await createReadWrite(context, { id: record.mountId, parent: lower, options: record, signal, ...copied });
    await syncUnlessVolatile(context, { fileSystems: [driver.locate(record.mountId).dir], home: driver.spec });
    await underLock(context, (lock) => {
      if (parent !== undefined) layerDb.read(parent);
      mounts.create(lock, record);
    }, signal);
  } catch (error) {
    // Data without a record is garbage (I1): a failure to remove it must not hide why it was to be removed.
    const ids = [record.mountId, record.initId].filter((id) => id !== undefined);
    await Promise.allSettled(ids.map((id) => driver.remove(id)));
    throw error;
  }
  return record;
}

/**
 * A copy lies on what its template lies on.
 * @throws {StrataError} `INVALID_ARGUMENT` for another parent, `IN_USE` for a template that is written to meanwhile
 */
function withParentOf(context: StoreContext, options: MakeRWLayerOptions): MakeRWLayerOptions {
  const { template, parent, initFunction } = options;
  if (template === undefined) return options;
  const below = template.record.parent;
  if (parent !== undefined && parent !== below) {
    throw unusable(
      "parent",
      `its template lies on ${below ?? "nothing"}, and a copy can lie on nothing else; leave it out`,
    );
  }
  if (initFunction !== undefined || (template.kind === "writable" && template.record.initId !== undefined)) {
    throw unusable("template", "what an init function did is no part of a copy; commit the writable layer first");
  }
  if (template.kind === "writable" && mountCount(context, template.record.mountId, "writable") > 0) {
    const { name } = template.record;
    const message = `Cannot copy writable layer "${name}": it is mounted, and may change meanwhile; unmount it first`;
    throw new StrataError("IN_USE", message, { kind: "writable layer", name, usedBy: ["a mount"] });
  }
  return below === undefined ? options : { ...options, parent: below };
}

function unusable(argument: string, why: string): StrataError<"INVALID_ARGUMENT"> {
  return new StrataError("INVALID_ARGUMENT", `Cannot use this ${argument}: ${why}`, { argument });
}

function recordFor(name: MountName, options: MakeRWLayerOptions): MountRecord {
  const { parent, mountLabel, idMappings, storageOptions, initFunction, record, outside } = options;
  const maps = idMappings && checkIdMappings(idMappings);
  const mountId = randomCacheId();
  return {
    name,
    mountId,
    ...(initFunction === undefined ? {} : { initId: parseCacheId(`${mountId}-init`) }),
    ...(parent === undefined ? {} : { parent }),
    created: new Date().toISOString(),
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(storageOptions === undefined ? {} : { storageOptions }),
    ...(record === undefined ? {} : { record }),
    ...(outside === undefined ? {} : { outside }),
    ...(maps === undefined ? {} : { uidMap: maps.uids, gidMap: maps.gids }),
  };
}

/** Chains that another tool made may be deeper than one can be mounted with two layers more on top. */
function usableParent(context: StoreContext, parent: ChainId): CacheId | undefined {
  const chain = recordsOf(context, parent);
  if (chain.length <= CHAIN_DEPTH_MAX) return chain[0]?.cacheId;
  throw new StrataError(
    "MAX_DEPTH",
    `Cannot create a writable layer on ${parent}: it has ${chain.length} layers, and ${CHAIN_DEPTH_MAX} is the most; ` +
      "merge some first",
    { depth: chain.length, depthMax: CHAIN_DEPTH_MAX },
  );
}

interface InitRequest {
  readonly below: CacheId | undefined;
  readonly initFunction: (path: string) => void | Promise<void>;
  readonly signal: AbortSignal | undefined;
}

async function makeInit(
  context: StoreContext,
  record: MountRecord,
  { below, initFunction, signal }: InitRequest,
): Promise<void> {
  const { driver } = context;
  const { initId } = record;
  if (initId === undefined) return;
  await createReadWrite(context, { id: initId, parent: below, options: record, signal });
  const path = await driver.get(initId);
  try {
    await initFunction(path);
  } finally {
    await driver.put(initId);
  }
}

interface ReadWriteRequest {
  readonly id: CacheId;
  readonly parent: CacheId | undefined;
  readonly template?: CacheId;
  readonly options: Pick<MountRecord, "mountLabel" | "storageOptions" | "uidMap" | "gidMap">;
  readonly signal: AbortSignal | undefined;
}

/** In a thread: the vfs driver copies the whole tree of the parent. */
async function createReadWrite(context: StoreContext, request: ReadWriteRequest): Promise<void> {
  const { options: { mountLabel, storageOptions, uidMap, gidMap }, signal, ...layer } = request;
  const options = {
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(storageOptions === undefined ? {} : { storageOptions }),
    ...(uidMap === undefined || gidMap === undefined ? {} : { idMappings: { uids: uidMap, gids: gidMap } }),
  };
  const stopping = signal === undefined ? {} : { signal, whenAborted: "wait" } as const;
  await context.pool.run("createReadWrite", { driver: context.driver.spec, ...layer, options }, stopping);
}

/** The record is created exclusively; this only spares a tree that would be thrown away. */
function requireFree({ mounts }: StoreContext, name: MountName): void {
  if (!mounts.has(name)) return;
  throw new StrataError(
    "CONFLICT",
    `Cannot create writable layer "${name}": the name is taken; choose another, or remove that one first`,
    { kind: "writable layer", name },
  );
}
