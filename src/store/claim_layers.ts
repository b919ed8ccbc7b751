// SPDX-License-Identifier: Apache-2.0
/**
 * Making each layer once: before a layer is read, it is claimed as far as it is known what it will be. Who finds it claimed
 * waits, and then finds the layer; or takes over, if the other failed or died.
 *
 * What is known beforehand is the ChainID where DiffIDs are expected, or the blob on its parent. Of a stream without any
 * expectation only its beginning is known: see `twin_streams.ts`.
 *
 * @module
 */
import { chainOn } from "../core/chain_id.ts";
import type { ChainId } from "../core/digest.ts";
import { blobClaim, type Claim, type ClaimName, layerClaim } from "../metadata/claims.ts";
import type { LayerRecord } from "../metadata/layer_record.ts";
import type { StoreContext } from "./context.ts";
import type { HeldLayers } from "./held_layers.ts";
import type { IncomingLayer } from "./incoming_layer.ts";
import { type ExistingLayers, isIntact, isSameMaking } from "./replacement.ts";

/** Layers to be claimed, bottom first. */
export interface ClaimRequest {
  readonly layers: readonly IncomingLayer[];
  readonly parent: ChainId | undefined;
  readonly existing: ExistingLayers;
  readonly signal: AbortSignal | undefined;
  /** Gets holds of the layers that are here. */
  readonly held: HeldLayers;
}

/** The claims of one operation. Disposing of it gives them free. */
export class LayerClaims implements Disposable {
  /** By their number: layers that are here, held, and need not be made. */
  readonly known = new Map<number, LayerRecord>();
  readonly #claims: Claim[] = [];

  /**
   * Claims what has to be made; waits for others who make the same.
   * @throws {StrataError} `ABORTED`
   */
  static async take(context: StoreContext, request: ClaimRequest): Promise<LayerClaims> {
    const claims = new LayerClaims();
    try {
      await claims.#takeAll(context, request);
      return claims;
    } catch (error) {
      claims[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    for (const claim of this.#claims.splice(0).reverse()) claim[Symbol.dispose]();
  }

  async #takeAll(context: StoreContext, request: ClaimRequest): Promise<void> {
    let parent = request.parent;
    for (const [index, incoming] of request.layers.entries()) {
      const name = claimNameOf(incoming, parent);
      if (name === undefined) return;
      const record = await this.#findOrClaim(context, { ...request, incoming, parent, name });
      if (record !== undefined) this.known.set(index, record);
      const { expectedDiffId } = incoming;
      parent = expectedDiffId === undefined ? record?.chainId : chainOn(parent, expectedDiffId);
      if (parent === undefined) return;
    }
  }

  /** The layer if it is here and whole, at last; else it is this operation's to make. */
  async #findOrClaim(context: StoreContext, request: ClaimRequest & Sought): Promise<LayerRecord | undefined> {
    const before = find(context, request);
    if (before !== undefined && await isIntact(context, before, request)) return before;
    const claim = await context.claims.take(request.name, { signal: request.signal });
    const now = find(context, request);
    if (now !== undefined && !(before !== undefined && isSameMaking(now, before))) {
      claim[Symbol.dispose]();
      return now;
    }
    this.#claims.push(claim);
    return undefined;
  }
}

interface Sought {
  readonly incoming: IncomingLayer;
  readonly parent: ChainId | undefined;
  readonly name: ClaimName;
}

function claimNameOf(
  { expectedDiffId, expectedBlob }: IncomingLayer,
  parent: ChainId | undefined,
): ClaimName | undefined {
  if (expectedDiffId !== undefined) return layerClaim(chainOn(parent, expectedDiffId));
  return expectedBlob && blobClaim(parent, expectedBlob.digest);
}

function find(context: StoreContext, { incoming, parent, held }: ClaimRequest & Sought): LayerRecord | undefined {
  const { expectedDiffId, expectedBlob } = incoming;
  if (expectedDiffId !== undefined) return held.findSound(chainOn(parent, expectedDiffId));
  const made = Array.from(context.layerDb.list().layers.values()).find((layer) =>
    layer.parent === parent && layer.blob?.digest === expectedBlob?.digest
  );
  return made && held.findSound(made.chainId);
}
