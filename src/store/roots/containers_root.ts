// SPDX-License-Identifier: Apache-2.0
/**
 * Roots of containers/storage (podman, buildah, skopeo, CRI-O), read in place.
 *
 * Their own tools may be at work there: records are files that are replaced whole, so no lock is taken, and nothing at all
 * is written. What was read is read again when a file has changed. Digests there are claims: verifying computes them.
 *
 * @module
 */
import { dirname } from "node:path";
import { StrataError } from "../../core/errors.ts";
import type { IdMappings } from "../../core/id_map.ts";
import type { RecordId } from "../../core/ids.ts";
import { fromOsError } from "../../host/errno.ts";
import { realPath } from "../../host/files.ts";
import { readChunks } from "../../host/read_chunks.ts";
import type { Driver } from "../../driver/driver.ts";
import type { DriverSpec, OutsideHome } from "../../driver/interfaces/driver_spec.ts";
import { OverlayReader } from "../../driver/containers_storage/overlay_reader.ts";
import { VfsReader } from "../../driver/containers_storage/vfs_reader.ts";
import { ContainersLayers } from "../../metadata/containers_storage/containers_layers.ts";
import type { LayerIndex } from "../../metadata/containers_storage/layer_index.ts";
import {
  type ContainersDriver,
  containersDrivers,
  ContainersLayout,
} from "../../metadata/containers_storage/layout.ts";
import { ContainersCatalog, ContainersLayerDb, ContainersMounts } from "../../metadata/containers_storage/readers.ts";
import { streamOf } from "../../stream/pipe.ts";
import type { WorkerPool } from "../../worker/pool.ts";
import type { ReadingContext } from "../reading.ts";
import type { ReadOnlyRoot } from "./read_only_root.ts";

/** How a root is opened. */
export interface OpenContainersRootOptions {
  readonly pool: WorkerPool;
  /** `overlay` or `vfs`. Absent: the one whose layers the root has. */
  readonly driver?: string | undefined;
  /** Further roots of the same driver in which stacks of this one may go on: what that tool calls additional image stores. */
  readonly siblings?: readonly string[] | undefined;
}

/** Whether a directory is a root of containers/storage. */
export function recogniseContainersRoot(path: string): boolean {
  return containersDrivers(path).length > 0;
}

/**
 * Opens a root.
 * @throws {StrataError} `NOT_FOUND` when it is no such root, or has not this driver; `AMBIGUOUS` when it has several drivers;
 *   `NOT_SUPPORTED` for drivers other than overlay and vfs
 */
export function openContainersRoot(
  path: string,
  { pool, driver, siblings = [] }: OpenContainersRootOptions,
): ReadOnlyRoot {
  const root = realRoot(path);
  const name = driverOf(root, driver);
  const further = siblings.map((sibling) => new ContainersLayout(realRoot(sibling), name));
  const layout = new ContainersLayout(root, name);
  const layers = new ContainersLayers(layout, further.map((sibling) => new ContainersLayers(sibling)));
  return new ContainersRoot(layers, { pool, furtherHomes: further.map(({ home }) => home) });
}

class ContainersRoot implements ReadOnlyRoot {
  readonly path: string;
  readonly kind = "containers-storage";
  readonly reading: ReadingContext;
  readonly #layers: ContainersLayers;
  readonly #catalog: ContainersCatalog;

  constructor(layers: ContainersLayers, { pool, furtherHomes }: { pool: WorkerPool; furtherHomes: readonly string[] }) {
    this.path = layers.layout.root;
    this.#layers = layers;
    this.#catalog = new ContainersCatalog(layers);
    this.reading = {
      layerDb: new ContainersLayerDb(layers),
      mounts: new ContainersMounts(layers),
      catalog: this.#catalog,
      driver: readerOf(layers, furtherHomes),
      pool,
    };
  }

  about(id: RecordId): ReadOnlyRoot {
    const { path, kind } = this;
    return {
      path,
      kind,
      reading: { ...this.reading, layerDb: new ContainersLayerDb(this.#layers, id) },
      about: (other) => this.about(other),
      bigData: (record, key) => this.bigData(record, key),
    };
  }

  bigData(id: RecordId, key: string): ReadableStream<Uint8Array> {
    this.#catalog.openBigData(id, key).close();
    const open = () => readChunks(this.#catalog.openBigData(id, key));
    return streamOf(async function* () {
      yield* open();
    });
  }
}

/** The driver, told of the layers' ids as the records have them whenever it is asked. */
function readerOf(layers: ContainersLayers, furtherHomes: readonly string[]): Driver {
  const { driver: name, home } = layers.layout;
  let last: { readonly index: LayerIndex; readonly outside: OutsideHome } | undefined;
  const outside = (): OutsideHome => {
    const index = layers.now();
    if (last?.index !== index) last = { index, outside: { furtherHomes, idMappings: idMappingsIn(index) } };
    return last.outside;
  };
  const within = [layers.layout.root, ...furtherHomes.map((further) => dirname(further))];
  const spec: DriverSpec = { name, home, options: {}, within };
  return name === "overlay"
    ? new OverlayReader({ ...spec, outside: outside() }, outside)
    : new VfsReader({ ...spec, outside: outside() }, outside);
}

function idMappingsIn(index: LayerIndex): Readonly<Record<string, IdMappings>> {
  return Object.fromEntries(index.mapped.map(({ cacheId, mappings }) => [cacheId, mappings]));
}

function driverOf(root: string, requested: string | undefined): ContainersDriver {
  const present = containersDrivers(root);
  const names = requested === undefined ? present : present.filter((name) => name === requested);
  if (names.length > 1) {
    throw new StrataError(
      "AMBIGUOUS",
      `Cannot open "${root}": it holds layers of ${names.join(" and ")}; name the driver to use`,
      { ref: root, candidates: names },
    );
  }
  const [name] = names;
  if (name === "overlay" || name === "vfs") return name;
  if (name !== undefined) {
    throw new StrataError(
      "NOT_SUPPORTED",
      `Cannot open "${root}": its layers are of driver ${name}; only those of overlay and vfs can be read`,
      {
        feature: `driver ${name}`,
        lacking: "driver",
      },
    );
  }
  const what = requested === undefined ? "layers of containers/storage" : `layers of its driver "${requested}"`;
  throw new StrataError("NOT_FOUND", `Cannot open "${root}": it has no ${what}; check the path`, {
    kind: "store",
    ref: root,
  });
}

function realRoot(path: string): string {
  try {
    return realPath(path);
  } catch (error) {
    throw fromOsError(error, `open "${path}"`);
  }
}
