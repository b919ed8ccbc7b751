// SPDX-License-Identifier: Apache-2.0
/**
 * Making layers of the overlay driver whose files lie in another store.
 *
 * @module
 */
import { IDENTITY } from "../../../core/id_map.ts";
import { type CacheId, randomId } from "../../../core/ids.ts";
import { requireWithin } from "../../../host/confined.ts";
import { removeTreeAt, renamePath } from "../../../host/files.ts";
import type { LayerLocation } from "../../interfaces/layer_sealer.ts";
import type { OutsideLayers, OutsideTree } from "../../interfaces/outside_layers.ts";
import { refuseOutside, requireOutside } from "../../parts/outside_tree.ts";
import { attempt, requireAbsent, requireLayer } from "../../parts/requests.ts";
import { requireVisibleMarks } from "../hidden_marks.ts";
import type { OverlayHome } from "../home.ts";
import { addForm, formOf } from "../layer_form.ts";
import { randomLinkName } from "../layout.ts";
import { LOWERS_MAX } from "../mounting/mount_data.ts";
import { isCommitted, lowersOn, markCommitted, writeLayerFiles } from "../seal.ts";
import { diffOf, outsideOf, standFor } from "./outside_diff.ts";

/** Begins the names of directories that are about to become stand-ins, in the driver's home. */
export const STAND_IN_PREFIX = ".overlay-stand-in-";

/** How a stand-in is made. */
export interface MakeStandInOptions {
  /** What it stands for. */
  readonly outside: OutsideTree;
  /** Called with the directory when all else is in it. */
  readonly whenStaged?: (dir: string) => void;
}

/** The stand-ins of one home. */
export class StandIns implements OutsideLayers {
  readonly #home: OverlayHome;

  constructor(home: OverlayHome) {
    this.#home = home;
  }

  createStandIn(id: CacheId, parent: CacheId | undefined, outside: OutsideTree): void {
    this.make(id, parent, { outside });
  }

  standInOf(id: CacheId): string | undefined {
    return outsideOf(this.#home.locate(id).dir);
  }

  asOutside(id: CacheId): OutsideTree {
    const location = requireLayer(this.#home.locate(id));
    const { dir } = location;
    const own = diffOf(dir);
    const { ids, within } = this.#home;
    if (this.#home.parentsOf(id).length > 0) requireVisibleMarks(this.#home.path);
    if (within !== undefined) attempt(`use layer ${id}`, () => requireWithin(own, within));
    return { dir: own, idMappings: ids.mappingsOf(location), form: formOf(dir) };
  }

  /**
   * Makes sure that a layer's files are its own, before they are changed.
   * @throws {StrataError} `IN_USE`
   */
  requireOwn(id: CacheId): void {
    const outside = this.standInOf(id);
    if (outside !== undefined) refuseOutside(this.#home.locate(id), outside);
  }

  /** As {@link OutsideLayers.createStandIn}. Nothing is left of one that fails. */
  make(id: CacheId, parent: CacheId | undefined, { outside, whenStaged }: MakeStandInOptions): void {
    const { dir } = this.#home.locate(id);
    requireAbsent({ cacheId: id, dir });
    const tree = requireOutside(outside.dir, { home: this.#home.path });
    const below = this.#stackOf(parent);
    const staged = { cacheId: id, dir: `${this.#home.path}/${STAND_IN_PREFIX}${randomId()}` };
    attempt(`create layer ${id}`, () => {
      try {
        this.#fill(staged, { outside: { ...outside, dir: tree }, below });
        whenStaged?.(staged.dir);
        renamePath(staged.dir, dir, { replace: "never" });
      } catch (error) {
        removeTreeAt(staged.dir);
        throw error;
      }
      // The name comes second: what a crash leaves between the two goes with the directory, which no record names.
      this.#home.names.link(id);
    });
  }

  #fill(staged: LayerLocation, { outside, below }: Filling): void {
    const { ids } = this.#home;
    const { dir } = staged;
    // The layer is mounted with itself among the lowers.
    const lowers = lowersOn(below, { countMax: LOWERS_MAX - 1 });
    writeLayerFiles(dir, { lowers, link: randomLinkName() });
    standFor(dir, outside.dir);
    for (const trait of outside.form ?? []) addForm(dir, trait);
    ids.note(staged, { mappings: outside.idMappings ?? IDENTITY, lowers: "mapped" });
    ids.admit(staged, dir);
    markCommitted(dir);
    const [parent] = below;
    if (parent === undefined || isCommitted(parent.dir)) return;
    using _room = this.#home.quota.relax(parent.dir);
    markCommitted(parent.dir);
  }

  /** A layer with all below it, top first; nothing for no layer. */
  #stackOf(id: CacheId | undefined): readonly LayerLocation[] {
    return id === undefined ? [] : [requireLayer(this.#home.locate(id)), ...this.#home.parentsOf(id)];
  }
}

interface Filling {
  readonly outside: OutsideTree;
  readonly below: readonly LayerLocation[];
}
