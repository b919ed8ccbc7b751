// SPDX-License-Identifier: Apache-2.0
/**
 * Making a writable layer.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { randomCacheId } from "../core/ids.ts";
import { type MountName, type MountRecord, parseMountName } from "../metadata/mounts.ts";
import { namingRoot, type StoreContext, underLock } from "./context.ts";
import { RWLayer } from "./rw_layer.ts";

/** How a writable layer is made. */
export interface CreateRWLayerOptions {
  /** The stack it sits on. Absent: it begins empty. */
  readonly parent?: ChainId;
  /** SELinux label of its mounts. */
  readonly mountLabel?: string;
  /** The driver's options, `size` among them where quotas work. */
  readonly storageOptions?: Readonly<Record<string, string>>;
}

/**
 * Makes a writable layer: its data first, then its record (I1).
 * @throws {StrataError} `CONFLICT` when the name is taken, `INVALID_ARGUMENT` for one that cannot be used, `NOT_FOUND` for
 *   the parent, `LOCKED`
 */
export async function createRWLayer(
  context: StoreContext,
  name: string,
  options: CreateRWLayerOptions = {},
): Promise<RWLayer> {
  context.dockerd.requireAbsent();
  const record = recordFor(parseMountName(name), options);
  requireFree(context, record.name);
  return await namingRoot(context, () => create(context, record));
}

async function create(context: StoreContext, record: MountRecord): Promise<RWLayer> {
  const { driver, layerDb, pool } = context;
  const parent = record.parent === undefined ? undefined : layerDb.read(record.parent).cacheId;
  if (record.parent !== undefined) context.holds.add(record.parent);
  try {
    await pool.run("createReadWrite", {
      driver: driver.spec,
      id: record.mountId,
      parent,
      options: driverOptions(record),
    });
    await underLock(context, (lock) => {
      if (record.parent !== undefined) layerDb.read(record.parent);
      context.mounts.create(lock, record);
    });
  } catch (error) {
    await driver.remove(record.mountId);
    throw error;
  } finally {
    if (record.parent !== undefined) context.holds.remove(record.parent);
  }
  return new RWLayer(record);
}

function recordFor(name: MountName, options: CreateRWLayerOptions): MountRecord {
  return { name, mountId: randomCacheId(), created: new Date().toISOString(), ...options };
}

function driverOptions({ mountLabel, storageOptions }: MountRecord) {
  return {
    ...(mountLabel === undefined ? {} : { mountLabel }),
    ...(storageOptions === undefined ? {} : { storageOptions }),
  };
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
