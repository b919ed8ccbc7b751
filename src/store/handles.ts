// SPDX-License-Identifier: Apache-2.0
/**
 * The handles of this process, by identity, and the hold by which other processes know of them (D4).
 *
 * A writable layer needs no hold: its record is on disk, and only its release removes it.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Holds } from "../metadata/holds.ts";
import type { MountRecord } from "../metadata/mounts.ts";
import type { Layer, LayerView } from "./layer.ts";
import type { RWLayer } from "./rw_layer.ts";

/** How handles are made. */
export interface HandleMakers {
  readonly layer: (record: LayerRecord) => Layer;
  readonly rwLayer: (record: MountRecord) => RWLayer;
}

/** Which handles are out. */
export class Handles {
  readonly #holds: Holds;
  readonly #make: HandleMakers;
  readonly #layers = new Identities<ChainId, LayerView>();
  /** By the directory, since a name may come to stand for another writable layer. */
  readonly #rwLayers = new Identities<CacheId, RWLayer>();

  constructor(holds: Holds, make: HandleMakers) {
    this.#holds = holds;
    this.#make = make;
  }

  /** A new handle of a layer. */
  retain(record: LayerRecord): Layer {
    const layer = this.#make.layer(record);
    if (this.#layers.count(layer.chainId) === 0) this.#holds.add(layer.chainId);
    this.#layers.add(layer.chainId, layer);
    return layer;
  }

  /**
   * Takes a handle back.
   * @throws {StrataError} `NOT_RETAINED` for one that was taken back before, is another store's, or is a mere view
   */
  drop(layer: LayerView): void {
    const { chainId } = layer;
    if (!this.#layers.delete(chainId, layer)) throw notRetained("layer", chainId);
    if (this.#layers.count(chainId) === 0) this.#holds.remove(chainId);
  }

  /** Takes a handle back if it is one. */
  forget(layer: LayerView): void {
    const { chainId } = layer;
    if (this.#layers.delete(chainId, layer) && this.#layers.count(chainId) === 0) this.#holds.remove(chainId);
  }

  /** How many handles of a layer are out in this process. */
  count(chainId: ChainId): number {
    return this.#layers.count(chainId);
  }

  /** A new handle of a writable layer. */
  retainRW(record: MountRecord): RWLayer {
    const layer = this.#make.rwLayer(record);
    this.#rwLayers.add(layer.mountId, layer);
    return layer;
  }

  /**
   * Takes a handle of a writable layer back.
   * @returns how many are left
   * @throws {StrataError} `NOT_RETAINED` for one that was taken back before, or is another store's
   */
  dropRW(layer: RWLayer): number {
    if (!this.#rwLayers.delete(layer.mountId, layer)) throw notRetained("writable layer", layer.name);
    return this.#rwLayers.count(layer.mountId);
  }

  /** Undoes {@link Handles.dropRW}: what the handle was to be dropped for has failed. */
  restoreRW(layer: RWLayer): void {
    this.#rwLayers.add(layer.mountId, layer);
  }

  /** Forgets all handles of a writable layer that is gone. */
  forgetRW(mountId: CacheId): void {
    this.#rwLayers.clear(mountId);
  }
}

/** Objects that count by identity, under a key each. */
class Identities<K, V> {
  readonly #byKey = new Map<K, Set<V>>();

  add(key: K, value: V): void {
    const values = this.#byKey.get(key);
    if (values === undefined) this.#byKey.set(key, new Set([value]));
    else values.add(value);
  }

  /** Whether it was there. */
  delete(key: K, value: V): boolean {
    const values = this.#byKey.get(key);
    const wasThere = values?.delete(value) ?? false;
    if (values?.size === 0) this.#byKey.delete(key);
    return wasThere;
  }

  count(key: K): number {
    return this.#byKey.get(key)?.size ?? 0;
  }

  clear(key: K): void {
    this.#byKey.delete(key);
  }
}

function notRetained(kind: "layer" | "writable layer", ref: string): StrataError {
  return new StrataError(
    "NOT_RETAINED",
    `Cannot release ${kind} ${ref}: this handle was released before, or belongs to another store, or is none`,
    { kind, ref },
  );
}
