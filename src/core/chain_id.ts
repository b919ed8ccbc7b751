// SPDX-License-Identifier: Apache-2.0
/**
 * ChainIDs: the identity of a stack of layers. image-spec `config.md`, "Layer ChainID".
 *
 * @module
 */
import { type ChainId, type DiffId, digestOf } from "./digest.ts";

/** sha256 of 1024 NUL bytes: the layer that changes nothing. */
export const EMPTY_DIFF_ID: DiffId =
  "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" as DiffId;

/** The chain that one more layer makes: the DiffID itself at the bottom, else the digest of `parent diffId`. */
export function chainOn(parent: ChainId | undefined, diffId: DiffId): ChainId {
  if (parent === undefined) return diffId as string as ChainId;
  return digestOf(`${parent} ${diffId}`) as string as ChainId;
}

/**
 * The chain of some layers, bottom first.
 * @throws {RangeError} when the list is empty
 */
export function createChainId(diffIds: readonly DiffId[]): ChainId {
  let chain: ChainId | undefined;
  for (const diffId of diffIds) chain = chainOn(chain, diffId);
  if (chain === undefined) throw new RangeError("Cannot create a ChainID: the list of DiffIDs is empty");
  return chain;
}
