// SPDX-License-Identifier: Apache-2.0
/**
 * Opening a store. Nothing is repaired and nothing is deleted by it (I8).
 *
 * @module
 */
import type { IdMappings } from "../core/id_map.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import { chooseDriver, openDriver } from "../driver/registry.ts";
import type { Durability } from "../host/durable.ts";
import { fromOsError } from "../host/errno.ts";
import { ensureDir, realPath } from "../host/files.ts";
import { effectiveUser } from "../host/process.ts";
import { namespaceMaker } from "../host/namespaces/user_namespace.ts";
import { BigDataFiles } from "../metadata/catalog/big_data_files.ts";
import { CatalogRecords } from "../metadata/catalog/catalog_records.ts";
import { Claims } from "../metadata/claims.ts";
import { DockerdGuard } from "../metadata/dockerd.ts";
import { Holds } from "../metadata/holds.ts";
import { ImageDb } from "../metadata/imagedb.ts";
import { LayerDb } from "../metadata/layerdb.ts";
import { LayerUsers } from "../metadata/layer_users.ts";
import { StoreLayout } from "../metadata/layout.ts";
import { MountCounts } from "../metadata/mount_counts.ts";
import { MountRecords } from "../metadata/mounts.ts";
import { mayWrite, requireReadable, requireStore } from "../metadata/root_access.ts";
import { StagingArea } from "../metadata/staging.ts";
import { LOCK_TIMEOUT_MS } from "../metadata/write_lock.ts";
import { WorkerPool } from "../worker/pool.ts";
import type { StoreContext } from "./context.ts";
import { Handles } from "./handles.ts";
import { Layer } from "./layer.ts";
import { openRoots } from "./roots/open_roots.ts";
import { RWLayer } from "./rw_layer.ts";

/** How a store is opened. */
export interface OpenOptions {
  /** Where the store lies; made when it does not exist. Default: {@link defaultRoot}. */
  readonly root?: string;
  /** Where mounts are counted: a place that is empty after a restart. Default: {@link defaultRunRoot}. */
  readonly runRoot?: string;
  /** `overlay2`, `vfs`, or absent: what the root holds already, else the best that works here. */
  readonly driver?: string;
  /** The driver's own options, such as `overlay2.mountopt`. */
  readonly driverOptions?: Readonly<Record<string, string>>;
  /**
   * Under which ids all layers are kept: what is registered belongs to mapped owners on disk, while changes and archives
   * tell of the archives' own. A root belongs to one map, which is given each time. Absent: the archives' ids are kept.
   */
  readonly idMappings?: IdMappings;
  /**
   * Further stores whose layers may be used and are never changed, in the order of their lookup: roots of Strata, of Docker,
   * or of containers/storage, as what lies in them tells.
   */
  readonly readOnlyRoots?: readonly string[];
  /** `full` (the default): what was registered survives a power loss. `none`: it may not. */
  readonly durability?: Durability;
  /** How long to wait for another process's lock. Milliseconds. Default 30,000. */
  readonly lockTimeoutMs?: number;
  /**
   * `background` (the default): the store's threads step back behind the program's own when processors are short, so that
   * its event loop stays quick. `full`: they do not.
   */
  readonly pace?: "background" | "full";
  /** Bounds on what a layer may ask of this machine; those not given keep their defaults. */
  readonly limits?: Partial<Limits>;
}

/** Where stores lie by default: `/var/lib/strata` for root, else `$XDG_DATA_HOME/strata` or `~/.local/share/strata`. */
export function defaultRoot(environment: Readonly<Record<string, string | undefined>>): string {
  if (effectiveUser() === 0) return "/var/lib/strata";
  return `${environment["XDG_DATA_HOME"] ?? `${environment["HOME"] ?? "/tmp"}/.local/share`}/strata`;
}

/** Where mounts are counted by default: `/run/strata` for root, else `$XDG_RUNTIME_DIR/strata` or below `/tmp`. */
export function defaultRunRoot(environment: Readonly<Record<string, string | undefined>>): string {
  const user = effectiveUser();
  if (user === 0) return "/run/strata";
  return `${environment["XDG_RUNTIME_DIR"] ?? `/tmp/strata-run-${user}`}/strata`;
}

/**
 * Opens a store.
 * @throws {StrataError} `NOT_SUPPORTED` when the driver cannot work there, `AMBIGUOUS` when the root holds several
 *   drivers' layers, `NOT_PERMITTED`; of a further root, `NOT_FOUND`, `INVALID_ARGUMENT`
 */
export async function openContext(options: OpenOptions, environment = process.env): Promise<StoreContext> {
  const root = makeRoot(options.root ?? defaultRoot(environment));
  requireReadable(root);
  const writable = mayWrite(root);
  if (!writable) requireStore(root);
  const dockerd = new DockerdGuard(root);
  const isFree = () => writable && dockerd.find() === undefined;
  const spec = await chooseDriver({
    root,
    requested: options.driver,
    options: options.driverOptions,
    idMappings: options.idMappings,
    access: isFree() ? "read-write" : "read-only",
  });
  const durability = options.durability ?? "full";
  const layout = new StoreLayout(root, spec.name);
  const holds = new Holds(layout, { mayWrite: isFree });
  const pool = new WorkerPool({ pace: options.pace ?? "background" });
  const paths = options.readOnlyRoots ?? [];
  const readOnlyRoots = await openRoots({ paths, ownRoot: root, driver: spec.name, pool });
  const context: StoreContext = {
    layout,
    dockerd,
    driver: openDriver(spec),
    // What LayerDb would sync itself, one file at a time, the store syncs at once, and off the event loop.
    layerDb: new LayerDb(layout, { durability: "none" }),
    mounts: new MountRecords(layout, { durability }),
    mountCounts: new MountCounts({
      runRoot: options.runRoot ?? defaultRunRoot(environment),
      root,
      // Trees that are plain directories are there in all namespaces.
      session: spec.name === "vfs" ? undefined : namespaceMaker(environment),
    }),
    catalog: new CatalogRecords(layout, { durability }),
    users: new LayerUsers(layout),
    bigData: new BigDataFiles(layout, { durability }),
    images: new ImageDb(layout, { durability }),
    staging: new StagingArea(layout),
    holds,
    claims: new Claims(layout),
    handles: new Handles(holds, {
      layer: (record) => new Layer(context, record),
      rwLayer: (record) => new RWLayer(context, record),
    }),
    pool,
    readOnlyRoots,
    settings: {
      durability,
      lockTimeoutMs: options.lockTimeoutMs ?? LOCK_TIMEOUT_MS,
      limits: { ...DEFAULT_LIMITS, ...options.limits },
    },
  };
  return context;
}

function makeRoot(path: string): string {
  try {
    ensureDir(path, 0o711);
    return realPath(path);
  } catch (error) {
    throw fromOsError(error, `open the store at "${path}"`);
  }
}
