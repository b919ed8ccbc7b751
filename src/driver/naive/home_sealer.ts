// SPDX-License-Identifier: Apache-2.0
/**
 * Layers sealed in the driver's home, since a proto driver makes layers nowhere else. Until a layer's record is published it
 * is garbage there, which the store claims (I1).
 *
 * @module
 */
import { type CacheId, randomCacheId } from "../../core/ids.ts";
import { mergeChangeset } from "../../changeset/merge.ts";
import { syncFileSystemOf } from "../../host/durable.ts";
import { fromOsError } from "../../host/errno.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import type { Driver } from "../driver.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import type { Awaitable } from "../interfaces/proto_driver.ts";
import { requireUnused, translated } from "../parts/requests.ts";
import type { LayerTrees } from "./layer_trees.ts";

/** What sealing in the home takes beside the driver. */
export interface HomeSealerOptions {
  readonly trees: LayerTrees;
  /** Gives a layer a name that no other has, in one step. `undefined`: the driver cannot, and layers are copied. */
  readonly rename: ((from: CacheId, to: CacheId) => Awaitable<void>) | undefined;
}

/** Seals a driver's layers by its own methods. */
export class HomeSealer {
  readonly #driver: Driver;
  readonly #trees: LayerTrees;
  readonly #rename: HomeSealerOptions["rename"];

  constructor(driver: Driver, { trees, rename }: HomeSealerOptions) {
    this.#driver = driver;
    this.#trees = trees;
    this.#rename = rename;
  }

  /** Under another name where that can be changed; and where a damaged layer has the name, which may be in use. */
  async seal({ staging, cacheId, changeset, parents, ...names }: SealRequest): Promise<SealedLayer> {
    const driver = this.#driver;
    const { stagedAs: other = randomCacheId() } = names;
    const stagedAs = this.#rename !== undefined || driver.exists(cacheId) ? other : cacheId;
    const [parent] = parents;
    await driver.create(stagedAs, parent && nameOf(parent));
    try {
      using tree = RootedDir.open(`${staging}/tree`);
      await using into = await this.#trees.open(stagedAs, { access: "writable" });
      mergeChangeset({ changeset, tree, into: into.root });
      // What is behind a mount, no later sync of the home reaches.
      if (driver.treeOf(stagedAs, "writable").kind === "mount") syncFileSystemOf(into.root.path);
    } catch (error) {
      await driver.remove(stagedAs);
      throw fromOsError(error, `seal layer ${cacheId}`);
    }
    return { ...driver.locate(stagedAs), cacheId, sizeBytes: changeset.sizeBytes, stagedAs };
  }

  /** See {@link Driver.rebase}. */
  async rebase(sealed: SealedLayer, parents: readonly LayerLocation[]): Promise<void> {
    const id = nameOf(sealed);
    if (this.#driver.needsOf(id).length === 0) return;
    const [parent] = parents;
    const rebased = randomCacheId();
    await this.#copy({ from: id, to: rebased, parent });
    await this.#driver.remove(id);
    await this.#move({ from: rebased, to: id, parent });
  }

  /** See {@link Driver.publish}. */
  async publish(sealed: SealedLayer): Promise<void> {
    const { cacheId } = sealed;
    if (nameOf(sealed) === cacheId) return;
    requireUnused(this.#driver, cacheId);
    await this.#move({ from: nameOf(sealed), to: cacheId, parent: undefined });
  }

  /** See {@link Driver.replace}. */
  async replace(sealed: SealedLayer): Promise<void> {
    const { cacheId } = sealed;
    if (nameOf(sealed) === cacheId) return;
    await this.#driver.remove(cacheId);
    await this.#move({ from: nameOf(sealed), to: cacheId, parent: undefined });
  }

  async #move(route: CopyRoute): Promise<void> {
    const { from, to } = route;
    const rename = this.#rename;
    if (rename !== undefined) return await translated(`publish layer ${to}`, () => rename(from, to));
    await this.#copy(route);
    await this.#driver.remove(from);
  }

  async #copy({ from, to, parent }: CopyRoute): Promise<void> {
    const below = parent === undefined ? this.#driver.needsOf(from)[0] : nameOf(parent);
    await this.#driver.createFromTemplate(to, { template: from, parent: below, access: "read-only" });
  }
}

interface CopyRoute {
  readonly from: CacheId;
  readonly to: CacheId;
  /** Absent: what `from` lies on. */
  readonly parent: LayerLocation | undefined;
}

/** The name under which the home has a layer, published or not. */
export function nameOf({ cacheId, stagedAs }: LayerLocation): CacheId {
  return stagedAs ?? cacheId;
}
