// SPDX-License-Identifier: Apache-2.0
/**
 * Layers of the vfs driver whose trees lie in another store: each is a symlink in place of the tree.
 *
 * The entries of the driver's `dir` are made by drivers only, so a symlink there is a stand-in; whoever opens a layer's
 * tree asks {@link treeAt} first.
 *
 * @module
 */
import { StrataError } from "../../core/errors.ts";
import { IDENTITY, type IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { requireWithin } from "../../host/confined.ts";
import { directoryExists, makeSymlink, pathExists, readSymlink, statPath } from "../../host/files.ts";
import type { LayerFault } from "../interfaces/layer_upkeep.ts";
import type { OutsideLayers, OutsideTree } from "../interfaces/outside_layers.ts";
import { refuseOutside, requireOutside, requirePresent } from "../parts/outside_tree.ts";
import { attempt, requireAbsent, requireLayer } from "../parts/requests.ts";
import type { VfsHome } from "./home.ts";

/** The directory outside that the entry at a path stands for; `undefined` for a tree, and for nothing. */
export function outsideOf(path: string): string | undefined {
  return statPath(path)?.type === "symlink" ? readSymlink(path) : undefined;
}

/**
 * Where a layer's tree is: at its own path, or outside.
 * @throws {StrataError} `CORRUPT` for a stand-in for nothing
 */
export function treeAt(path: string): string {
  const outside = outsideOf(path);
  if (outside !== undefined) requirePresent(outside);
  return outside ?? path;
}

/** What is wrong with the tree of the layer at a path. */
export function treeFaults(path: string): readonly LayerFault[] {
  const outside = outsideOf(path);
  const mending = "impossible";
  if (outside === undefined) return pathExists(path) ? [] : [{ path, problem: "is missing", mending }];
  if (directoryExists(outside)) return [];
  return [{ path: outside, problem: "cannot be reached: the layer's files lie there, in another store", mending }];
}

/** The stand-ins of one home. */
export class StandIns implements OutsideLayers {
  readonly #home: VfsHome;

  constructor(home: VfsHome) {
    this.#home = home;
  }

  /** A layer is its whole tree, so its parent does not matter, but it must be there. */
  createStandIn(id: CacheId, parent: CacheId | undefined, outside: OutsideTree): void {
    const { path, ids } = this.#home;
    const location = this.#home.locate(id);
    requireAbsent(location);
    if (parent !== undefined) requireLayer(this.#home.locate(parent));
    const tree = requireOutside(outside.dir, { home: path });
    refuseForm(outside);
    attempt(`create layer ${id}`, () => {
      this.#home.prepare();
      try {
        ids.note(location, { mappings: outside.idMappings ?? IDENTITY, lowers: "mapped" });
        makeSymlink(location.dir, tree);
      } catch (error) {
        if (!pathExists(location.dir)) ids.forget(location);
        throw error;
      }
    });
  }

  standInOf(id: CacheId): string | undefined {
    return outsideOf(this.#home.locate(id).dir);
  }

  asOutside(id: CacheId): OutsideTree {
    const location = requireLayer(this.#home.locate(id));
    const { ids, within } = this.#home;
    const dir = treeAt(location.dir);
    if (within !== undefined) attempt(`use layer ${id}`, () => requireWithin(dir, within));
    const idMappings: IdMappings = ids.mappingsOf(location);
    return { dir, idMappings };
  }

  /**
   * Makes sure that a layer's files are its own, before they are changed.
   * @throws {StrataError} `IN_USE`
   */
  requireOwn(id: CacheId): void {
    const outside = this.standInOf(id);
    if (outside !== undefined) refuseOutside(this.#home.locate(id), outside);
  }
}

function refuseForm({ dir, form = [] }: OutsideTree): void {
  if (form.length === 0) return;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Cannot use the layer "${dir}" of another store: driver "vfs" knows trees as they are only; use driver "overlay2"`,
    { argument: "outside" },
  );
}
