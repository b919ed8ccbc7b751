// SPDX-License-Identifier: Apache-2.0
/**
 * The layers that one operation needs until it has ended: nobody deletes them meanwhile (D4). A record that was read after
 * its layer was held stays true (`metadata/holds.ts`).
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { StoreContext } from "./context.ts";

/** Holds of one operation. Disposing of it drops them. */
export class HeldLayers implements Disposable {
  readonly #context: Pick<StoreContext, "holds" | "layerDb">;
  readonly #chainIds: ChainId[] = [];

  constructor(context: Pick<StoreContext, "holds" | "layerDb">) {
    this.#context = context;
  }

  /** Holds a layer, which keeps those below it. */
  add(chainId: ChainId): void {
    this.#context.holds.add(chainId);
    this.#chainIds.push(chainId);
  }

  /**
   * Holds a layer that is there, and gives its record.
   * @throws {StrataError} `NOT_FOUND`, `CORRUPT`
   */
  read(chainId: ChainId): LayerRecord {
    this.add(chainId);
    return this.#context.layerDb.read(chainId);
  }

  /** Holds a layer if it is there and whole, and gives its record. */
  findSound(chainId: ChainId): LayerRecord | undefined {
    // Most layers that are looked for are not there, and looking is cheaper than holding.
    if (this.#context.layerDb.findSound(chainId) === undefined) return undefined;
    this.add(chainId);
    return this.#context.layerDb.findSound(chainId);
  }

  [Symbol.dispose](): void {
    for (const chainId of this.#chainIds.splice(0)) this.#context.holds.remove(chainId);
  }
}
