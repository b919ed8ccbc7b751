// SPDX-License-Identifier: Apache-2.0
/**
 * What keeps a layer alive (D4): a layer on top of it, a writable layer, a catalog record, an image, a mount, a handle or
 * an operation of this process, a hold of another. Read from disk each time it is asked.
 *
 * Of one layer, only those records are read that say that they refer to it (`metadata/layer_users.ts`), however many there
 * are.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { CacheId } from "../core/ids.ts";
import type { LayerListing } from "../metadata/layerdb.ts";
import { allUses } from "./all_uses.ts";
import { readableRecord } from "./chains.ts";
import type { StoreContext } from "./context.ts";
import { mountCount } from "./mount.ts";
import { mountedIds } from "./mounted_ids.ts";

/** More than a person reads. */
const LISTED_MAX = 100;

/** Everything that refers to layers at one moment; by layer, who it is, in words for people. */
export class References {
  readonly #context: StoreContext;
  readonly #sound = new Map<ChainId, boolean>();
  readonly #gone = new Set<ChainId>();
  #elsewhere: ReadonlyMap<ChainId, readonly string[]> | undefined;
  #mounted: ReadonlySet<CacheId> | undefined;

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** What refers to a layer; empty when nothing does. Of very many the first ones, and that there are others. */
  to(chainId: ChainId): string[] {
    const users: string[] = [];
    for (const user of this.#users(chainId)) {
      if (users.length === LISTED_MAX) return [...users, "others"];
      users.push(user);
    }
    return users;
  }

  /** Whether anything refers to a layer. */
  any(chainId: ChainId): boolean {
    return this.#users(chainId).next().done !== true;
  }

  /** Forgets what a layer that is to go refers to. */
  forget(gone: ChainId): void {
    this.#gone.add(gone);
  }

  *#users(chainId: ChainId): Generator<string, void> {
    const { layerDb, mounts, catalog, holds } = this.#context;
    const record = this.#isSound(chainId) ? readableRecord(this.#context, chainId) : undefined;
    if (record !== undefined) {
      // Handles, and what operations under way rely on.
      if (holds.countOf(chainId) > 0) yield "this process";
      if (this.#isMounted(record.cacheId)) yield "a mount";
    }
    for (const child of layerDb.childrenOf(chainId)) {
      if (!this.#gone.has(child.chainId)) {
        yield `${this.#isSound(child.chainId) ? "" : "damaged "}layer ${child.chainId}`;
      }
    }
    const writable = mounts.on(chainId);
    for (const name of writable.mounts.keys()) yield `writable layer "${name}"`;
    for (const { subject } of writable.broken) yield `damaged writable layer "${subject}"`;
    for (const { id } of catalog.eachReferenceTo(chainId)) yield `record ${id}`;
    yield* this.#usersElsewhere().get(chainId) ?? [];
  }

  /** One that stands on a damaged layer counts as damaged itself. */
  #isSound(chainId: ChainId): boolean {
    const known = this.#sound.get(chainId);
    if (known !== undefined) return known;
    const record = readableRecord(this.#context, chainId);
    const sound = record !== undefined && (record.parent === undefined || this.#isSound(record.parent));
    this.#sound.set(chainId, sound);
    return sound;
  }

  #isMounted(id: CacheId): boolean {
    this.#mounted ??= mountedIds(this.#context);
    return this.#mounted.has(id) && mountCount(this.#context, id, "read-only") > 0;
  }

  #usersElsewhere(): ReadonlyMap<ChainId, readonly string[]> {
    return this.#elsewhere ??= usersElsewhere(this.#context);
  }
}

/** How many refer to each of all layers; reads everything once. */
export function countUsers(context: StoreContext, listing: LayerListing): ReadonlyMap<ChainId, number> {
  const counts = new Map<ChainId, number>();
  const add = (chainId: ChainId, count = 1): void => void counts.set(chainId, (counts.get(chainId) ?? 0) + count);
  const mounted = mountedIds(context);
  for (const { chainId, cacheId } of listing.layers.values()) {
    if (context.holds.countOf(chainId) > 0) add(chainId);
    if (mounted.has(cacheId) && mountCount(context, cacheId, "read-only") > 0) add(chainId);
  }
  for (const { chainId } of allUses(context, listing).uses) add(chainId);
  for (const [chainId, users] of usersElsewhere(context)) add(chainId, users.length);
  return counts;
}

/** Images and other processes. */
function usersElsewhere({ images, holds }: StoreContext): Map<ChainId, string[]> {
  const users = new Map<ChainId, string[]>();
  const add = (chainId: ChainId, user: string): void => {
    users.set(chainId, [...users.get(chainId) ?? [], user]);
  };
  for (const { imageId, chainId } of images.roots()) add(chainId, `image ${imageId}`);
  for (const [chainId, holders] of holds.liveHolds()) {
    for (const holder of holders) add(chainId, `process ${holder.split("-")[0]}`);
  }
  return users;
}
