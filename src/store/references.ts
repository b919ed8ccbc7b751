// SPDX-License-Identifier: Apache-2.0
/**
 * What keeps a layer alive (D4): a layer on top of it, a writable layer, a catalog record, an image, a mount, a handle or
 * an operation of this process, a hold of another. Read from disk each time it is asked.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { StoreContext } from "./context.ts";
import { mountCount } from "./mount.ts";

/** Everything that refers to layers at one moment; by layer, who it is, in words for people. */
export class References {
  readonly #byChain = new Map<ChainId, string[]>();

  constructor(context: StoreContext) {
    const { layers, broken } = context.layerDb.list();
    const counted = context.mountCounts.list();
    for (const { cacheId, chainId, parent } of layers.values()) {
      // Handles, and what operations under way rely on.
      if (context.holds.countOf(chainId) > 0) this.#add(chainId, "this process");
      this.#add(parent, `layer ${chainId}`);
      if (counted.has(cacheId) && mountCount(context, cacheId, "read-only") > 0) this.#add(chainId, "a mount");
    }
    for (const { chainId, parent } of broken) this.#add(parent, `damaged layer ${chainId}`);
    const mounts = context.mounts.list();
    for (const { name, parent } of mounts.mounts.values()) this.#add(parent, `writable layer "${name}"`);
    for (const { subject, parent } of mounts.broken) this.#add(parent, `damaged writable layer "${subject}"`);
    for (const { id, target } of context.catalog.list().records) {
      if (target.kind === "layer") this.#add(target.chainId, `record ${id}`);
    }
    for (const { imageId, chainId } of context.images.roots()) this.#add(chainId, `image ${imageId}`);
    for (const [chainId, holders] of context.holds.liveHolds()) {
      for (const holder of holders) this.#add(chainId, `process ${holder.split("-")[0]}`);
    }
  }

  /** What refers to a layer; empty when nothing does. */
  to(chainId: ChainId): readonly string[] {
    return this.#byChain.get(chainId) ?? [];
  }

  /** Forgets what a layer that is gone referred to. */
  forget(gone: ChainId, parent: ChainId | undefined): void {
    if (parent === undefined) return;
    // One that stands on a damaged layer counts as damaged itself.
    const users = [`layer ${gone}`, `damaged layer ${gone}`];
    this.#byChain.set(parent, this.to(parent).filter((user) => !users.includes(user)));
  }

  #add(chainId: ChainId | undefined, user: string): void {
    if (chainId !== undefined) this.#byChain.set(chainId, [...this.to(chainId), user]);
  }
}
