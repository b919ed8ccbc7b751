// SPDX-License-Identifier: Apache-2.0
/**
 * Making the directory of a layer that is to be written to, and removing one.
 *
 * @module
 */
import { hostShift, type IdMappings } from "../../core/id_map.ts";
import { fromOsError } from "../../host/errno.ts";
import { pathExists, removeTreeAt } from "../../host/files.ts";
import type { ProjectLimits } from "../../host/quota/quota_structs.ts";
import { copyRootMetadata, makeDirectory } from "../parts/layer_directory.ts";
import { unmountBelow } from "../parts/mounting.ts";
import { attempt, removeTree, requireAbsent } from "../parts/requests.ts";
import { unfinishedAt } from "../parts/unfinished.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { maskWritable } from "./force_mask.ts";
import type { OverlayHome } from "./home.ts";
import { randomLinkName } from "./layout.ts";
import { additionalLayerOf, releaseAdditional } from "./outside/additional_layers.ts";
import { isCommitted, lowersOn, markCommitted, writeLayerFiles } from "./seal.ts";

/** A layer to be made. */
export interface NewLayer {
  readonly location: LayerLocation;
  /** The stack that it comes to lie on, top first. */
  readonly below: readonly LayerLocation[];
  readonly limits: ProjectLimits;
  /** Absent: as the layer below is kept, else as the driver keeps all. */
  readonly idMappings: IdMappings | undefined;
  /** Puts files into it, before it is there for others. */
  readonly fill?: (made: LayerLocation) => void;
}

const DIFF_MODE = 0o755;

/** Makes the layers of one home. */
export class LayerMaker {
  readonly #home: OverlayHome;

  constructor(home: OverlayHome) {
    this.#home = home;
  }

  /** Nothing is left of a layer that fails. The one below is read-only from then on. */
  make(layer: NewLayer): void {
    const { location } = layer;
    const made = unfinishedAt(location);
    requireAbsent(made);
    let place = made;
    try {
      makeLayer(this.#home, { ...layer, location: made });
      layer.fill?.(made);
      this.#home.quota.rename(made.dir, location.dir);
      place = location;
      this.#home.names.link(location.cacheId);
    } catch (error) {
      if (place === location) this.#home.names.unlink(location.cacheId);
      this.#discard(place);
      throw fromOsError(error, `create layer ${location.cacheId}`);
    }
  }

  /** Removes a layer, whole or not. Absence is no error. */
  async remove(location: LayerLocation): Promise<void> {
    const action = `remove layer ${location.cacheId}`;
    for (const { dir } of [unfinishedAt(location), location]) {
      if (!pathExists(dir)) continue;
      await unmountBelow(dir);
      this.#home.quota.free(dir);
      attempt(action, () => this.#home.names.unlink(location.cacheId));
      const additional = additionalLayerOf(dir);
      await removeTree(action, dir);
      await releaseAdditional(additional);
    }
  }

  #discard({ dir }: LayerLocation): void {
    this.#home.quota.free(dir);
    removeTreeAt(dir);
  }
}

/** Makes all but the symlink of its short name. */
function makeLayer(home: OverlayHome, { location, below, limits, idMappings }: NewLayer): void {
  const { dir } = location;
  const whenMade = () => home.quota.limit(dir, limits);
  writeLayerFiles(dir, { lowers: lowersOn(below), link: randomLinkName(), whenMade });
  makeDirectory(`${dir}/diff`, DIFF_MODE);
  maskWritable(dir, home.options);
  home.ids.note(location, home.ids.forNew(idMappings, below[0]));
  home.ids.admit(location, dir);
  if (below[0] === undefined) return home.ids.giveToRoot(location);
  inheritRoot(home, location, below);
  if (isCommitted(below[0].dir)) return;
  using _room = home.quota.relax(below[0].dir);
  markCommitted(below[0].dir);
}

/** Overlayfs shows the upper's root directory as the merged root, so it must look like the one below. */
function inheritRoot(home: OverlayHome, location: LayerLocation, below: readonly LayerLocation[]): void {
  using tree = home.openTree(location);
  using view = home.view(below);
  copyRootMetadata(view, tree, { shift: hostShift(home.ids.mappingsOf(location)) });
}
