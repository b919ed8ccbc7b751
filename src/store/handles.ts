// SPDX-License-Identifier: Apache-2.0
/**
 * The handles of this process, by identity, and the hold by which other processes know of them (D4).
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { Holds } from "../metadata/holds.ts";
import { Layer } from "./layer.ts";

/** Which handles are out. */
export class Handles {
  readonly #holds: Holds;
  readonly #out = new Map<ChainId, Set<Layer>>();

  constructor(holds: Holds) {
    this.#holds = holds;
  }

  /** A new handle of a layer. */
  retain(record: LayerRecord): Layer {
    const layer = new Layer(record);
    const handles = this.#out.get(layer.chainId);
    if (handles === undefined) {
      this.#holds.add(layer.chainId);
      this.#out.set(layer.chainId, new Set([layer]));
    } else handles.add(layer);
    return layer;
  }

  /**
   * Takes a handle back.
   * @throws {StrataError} `NOT_RETAINED` for one that was taken back before, or is another store's
   */
  drop(layer: Layer): void {
    const handles = this.#out.get(layer.chainId);
    if (!handles?.delete(layer)) {
      throw new StrataError(
        "NOT_RETAINED",
        `Cannot release layer ${layer.chainId}: this handle was released before, or belongs to another store`,
        { chainId: layer.chainId },
      );
    }
    if (handles.size > 0) return;
    this.#out.delete(layer.chainId);
    this.#holds.remove(layer.chainId);
  }

  /** How many handles of a layer are out in this process. */
  count(chainId: ChainId): number {
    return this.#out.get(chainId)?.size ?? 0;
  }
}
