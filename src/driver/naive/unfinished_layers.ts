// SPDX-License-Identifier: Apache-2.0
/**
 * Which layers of a proto driver's home are being made, or were when their process was killed: such a layer's tree may be
 * there in part, and nothing about the tree tells.
 *
 * A mark, `.strata-unfinished/<id>` in the home, is there from before the driver makes anything until it has made all.
 *
 * @module
 */
import type { CacheId } from "../../core/ids.ts";
import { createExclusive, ensureDir, pathExists, removeTreeAt } from "../../host/files.ts";
import type { Debris } from "../interfaces/layer_upkeep.ts";
import { findLayers } from "../parts/layer_directory.ts";

const MARKS = ".strata-unfinished";
const MODE = 0o700;

/** The marks of one home. */
export class UnfinishedLayers {
  readonly #dir: string;

  constructor(home: string) {
    this.#dir = `${home}/${MARKS}`;
  }

  /**
   * Marks a layer.
   * @throws {OsError} `EEXIST` for one that is marked
   */
  begin(id: CacheId): void {
    ensureDir(this.#dir, MODE);
    createExclusive(this.#markOf(id), "");
  }

  /** Takes the mark away. Absence is no error. */
  end(id: CacheId): void {
    removeTreeAt(this.#markOf(id));
  }

  /** Whether a layer is marked. */
  has(id: CacheId): boolean {
    return pathExists(this.#markOf(id));
  }

  /** The marked ones. */
  list(): readonly CacheId[] {
    return findLayers(this.#dir).map(({ cacheId }) => cacheId);
  }

  /** The marks; each goes with its layer. */
  debris(): readonly Debris[] {
    return findLayers(this.#dir).map(({ cacheId, modifiedMs }) => {
      return { path: this.#markOf(cacheId), what: "an unfinished layer", modifiedMs, use: "none", cacheId };
    });
  }

  #markOf(id: CacheId): string {
    return `${this.#dir}/${id}`;
  }
}
