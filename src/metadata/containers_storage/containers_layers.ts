// SPDX-License-Identifier: Apache-2.0
/**
 * The layers of one driver below one root of containers/storage, as they are whenever somebody asks.
 *
 * @module
 */
import { LayerIndex } from "./layer_index.ts";
import type { LayersFile } from "./layers_file.ts";
import { LayersFileReader } from "./layers_file.ts";
import type { ContainersLayout } from "./layout.ts";

/** Reads a root's records again when, and only when, a file of theirs is another than before. */
export class ContainersLayers {
  readonly layout: ContainersLayout;
  readonly #readers: readonly LayersFileReader[];
  readonly #siblings: readonly ContainersLayers[];
  #last: { readonly parts: readonly (LayersFile | LayerIndex)[]; readonly index: LayerIndex } | undefined;

  /** @param siblings further roots, in which stacks of this one may go on */
  constructor(layout: ContainersLayout, siblings: readonly ContainersLayers[] = []) {
    this.layout = layout;
    this.#readers = layout.recordFiles.map((path) => new LayersFileReader(path));
    this.#siblings = siblings;
  }

  /**
   * The layers at this moment; the same object as long as nothing has changed.
   * @throws {StrataError} `CORRUPT` naming the file that cannot be read at all
   */
  now(): LayerIndex {
    const files = this.#readers.map((reader) => reader.read());
    const siblings = this.#siblings.map((sibling) => sibling.now());
    const parts = [...files, ...siblings];
    const last = this.#last;
    if (last !== undefined && parts.every((part, i) => part === last.parts[i])) return last.index;
    const index = new LayerIndex({ layout: this.layout, files, siblings });
    this.#last = { parts, index };
    return index;
  }
}
