// SPDX-License-Identifier: Apache-2.0
/**
 * Walking stacks of layers, given who sits on whom. Pure, and safe against records that disagree: a missing parent
 * or a circle is an error or a verdict, never an endless loop.
 *
 * @module
 */
import type { ChainId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";

/** Who sits on whom, as read from disk. */
export type ParentMap = ReadonlyMap<ChainId, { readonly parent?: ChainId }>;

/** Why a layer's stack cannot be used: the layer below that is missing, or that comes twice. */
export interface ChainFault {
  readonly at: ChainId;
  readonly fault: "missing" | "circle";
}

/**
 * A layer and all below it, top first.
 * @throws {StrataError} `CORRUPT` when a layer of it is missing, or the chain runs in a circle
 */
export function chainOf(top: ChainId, layers: ParentMap): ChainId[] {
  const chain = new Set<ChainId>();
  for (let id: ChainId | undefined = top; id !== undefined; id = layers.get(id)?.parent) {
    const fault = chain.has(id) ? "circle" : layers.has(id) ? undefined : "missing";
    if (fault !== undefined) throw chainError(top, { at: id, fault });
    chain.add(id);
  }
  return [...chain];
}

/** The layers that sit directly on each layer; layers without children have no entry. */
export function childrenOf(layers: ParentMap): Map<ChainId, ChainId[]> {
  const children = new Map<ChainId, ChainId[]>();
  for (const [id, { parent }] of layers) {
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [id]);
    else siblings.push(id);
  }
  return children;
}

/** The layers whose stack is not whole, and what is wrong with it. Each layer is visited once. */
export function findChainFaults(layers: ParentMap): Map<ChainId, ChainFault> {
  const verdicts = new Map<ChainId, ChainFault | undefined>();
  for (const top of layers.keys()) {
    const walked = new Set<ChainId>();
    let id: ChainId | undefined = top;
    let fault: ChainFault | undefined;
    while (id !== undefined && !verdicts.has(id)) {
      if (walked.has(id)) fault = { at: id, fault: "circle" };
      else if (!layers.has(id)) fault = { at: id, fault: "missing" };
      if (fault !== undefined) break;
      walked.add(id);
      id = layers.get(id)?.parent;
    }
    if (fault === undefined && id !== undefined) fault = verdicts.get(id);
    for (const visited of walked) verdicts.set(visited, fault);
  }
  const faults = new Map<ChainId, ChainFault>();
  for (const [id, fault] of verdicts) if (fault !== undefined) faults.set(id, fault);
  return faults;
}

/** The error of a layer whose stack is not whole. */
export function chainError(top: ChainId, { at, fault }: ChainFault): StrataError<"CORRUPT"> {
  const problem = fault === "missing" ? `the layer ${at} below it has no usable record` : `its chain returns to ${at}`;
  return new StrataError(
    "CORRUPT",
    `Cannot use layer ${top}: ${problem}; register the missing layer again, or remove this one with "strata rm"`,
    { path: at },
  );
}
