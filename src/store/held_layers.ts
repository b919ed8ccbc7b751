// SPDX-License-Identifier: Apache-2.0
/**
 * The layers that one operation needs until it has ended: nobody deletes them meanwhile (D4).
 *
 * A hold that is taken without the write lock protects from deletions that begin later. So whoever relies on it looks
 * under the lock once more whether the layer is still there.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { Holds } from "../metadata/holds.ts";

/** Holds of one operation. Disposing of it drops them. */
export class HeldLayers implements Disposable {
  readonly #holds: Holds;
  readonly #chainIds: ChainId[] = [];

  constructor(holds: Holds) {
    this.#holds = holds;
  }

  /** Holds a layer, which keeps those below it. */
  add(chainId: ChainId): void {
    this.#holds.add(chainId);
    this.#chainIds.push(chainId);
  }

  [Symbol.dispose](): void {
    for (const chainId of this.#chainIds.splice(0)) this.#holds.remove(chainId);
  }
}
