// SPDX-License-Identifier: Apache-2.0
/**
 * Making a layer again, in its old place: layers above know its directory, and must find the same content there. So it is
 * with damaged ones, and with those that only stand for layers of other roots.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import { type CacheId, randomCacheId } from "../core/ids.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import { attempt } from "../metadata/record_file.ts";
import type { StoreContext } from "./context.ts";
import { mountCount } from "./mount.ts";
import { verify } from "./verify.ts";

/**
 * What becomes of layers that are here already: they are read, and made again when they are damaged; or their records are
 * trusted; or they are made again where their files lie in another root.
 */
export type ExistingLayers = "verify" | "trust" | "copy";

/** Where a layer is to be made. */
export interface LayerPlace {
  readonly cacheId: CacheId;
  /** Layers that lie upon it already. */
  readonly children: readonly CacheId[];
}

/** Whether a layer can be used as it is: as its record tells, or all of it is read and compared. */
export async function isIntact(
  context: StoreContext,
  record: LayerRecord,
  { existing, signal }: { readonly existing: ExistingLayers; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  if (existing === "trust") return true;
  if (existing === "copy") return record.outside === undefined;
  const { state } = await verify(context, record.chainId, signal === undefined ? {} : { signal });
  return state === "ok";
}

/** Whether two readings of a layer's record are of one and the same registration. */
export function isSameMaking(one: LayerRecord, other: LayerRecord): boolean {
  return one.cacheId === other.cacheId && one.created === other.created;
}

/** The places of layers that one operation makes. */
export class LayerPlaces {
  readonly #context: StoreContext;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** The place that a layer had, as far as its damaged record or its children tell; a fresh one for a new layer. */
  of(chainId: ChainId): LayerPlace {
    const children = this.#childrenOf(chainId);
    const cacheId = this.#context.layerDb.findCacheId(chainId) ?? this.#placeBelow(children);
    const isOwn = cacheId !== undefined && !this.#isAnothers(cacheId, chainId);
    return { cacheId: isOwn ? cacheId : randomCacheId(), children };
  }

  #childrenOf(chainId: ChainId): readonly CacheId[] {
    const { layerDb, mounts } = this.#context;
    const layers = layerDb.childrenOf(chainId).flatMap(({ cacheId }) => cacheId ?? []);
    const writable = mounts.on(chainId);
    const all = [...writable.mounts.values(), ...writable.broken];
    return [...layers, ...all.flatMap(({ initId, mountId }) => initId ?? mountId ?? [])];
  }

  #placeBelow(children: readonly CacheId[]): CacheId | undefined {
    const { driver } = this.#context;
    return children.map((child) => attempt(() => driver.parentsOf(child)[0]?.cacheId)).find((id) => id !== undefined);
  }

  /** A record that was damaged may name what is another layer's. */
  #isAnothers(cacheId: CacheId, chainId: ChainId): boolean {
    const { layers, broken } = this.#context.layerDb.list();
    const { mounts } = this.#context.mounts.list();
    return [...layers.values(), ...broken].some((layer) => layer.cacheId === cacheId && layer.chainId !== chainId) ||
      [...mounts.values()].some(({ mountId, initId }) => mountId === cacheId || initId === cacheId);
  }
}

/**
 * Refuses to replace a layer's data while somebody looks at it.
 * @throws {StrataError} `IN_USE` naming the mounts
 */
export function requireUnmounted(context: StoreContext, chainId: ChainId, cacheId: CacheId): void {
  const { driver } = context;
  const own = mountCount(context, cacheId, "read-only") > 0 ? [driver.treeOf(cacheId, "read-only").path] : [];
  const usedBy = [...new Set([...own, ...driver.mountsOver(cacheId)])];
  if (usedBy.length === 0) return;
  throw new StrataError(
    "IN_USE",
    `Cannot make layer ${chainId} again in its place: it is mounted at ${
      usedBy.join(", ")
    }; unmount that, and try again`,
    { kind: "layer", name: chainId, usedBy },
  );
}
