// SPDX-License-Identifier: Apache-2.0
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ChainId } from "../../src/core/digest.ts";
import { chainOf, childrenOf, findChainFaults, type ParentMap } from "../../src/metadata/chain.ts";
import { chainIdOf, refusal } from "./store_dir.ts";

const [a, b, c, d] = ["a", "b", "c", "d"].map(chainIdOf) as [ChainId, ChainId, ChainId, ChainId];

function parents(...pairs: (readonly [ChainId, (ChainId | undefined)?])[]): ParentMap {
  return new Map(pairs.map(([id, parent]) => [id, parent === undefined ? {} : { parent }]));
}

describe("chains", () => {
  it("chainOf() lists a stack, top first", () => {
    assert.deepEqual(chainOf(c, parents([a], [b, a], [c, b])), [c, b, a]);
  });

  it("chainOf() refuses a missing layer and a circle", () => {
    assert.throws(() => chainOf(c, parents([c, b], [b, a])), refusal("CORRUPT", a));
    assert.throws(() => chainOf(c, parents([c, b], [b, c])), refusal("CORRUPT", "returns to"));
    assert.throws(() => chainOf(a, parents([a, a])), refusal("CORRUPT", "returns to"));
  });

  it("childrenOf() turns the map around", () => {
    assert.deepEqual(childrenOf(parents([a], [b, a], [c, a], [d, c])), new Map([[a, [b, c]], [c, [d]]]));
  });

  it("findChainFaults() tells a missing layer from a circle, and leaves whole stacks alone", () => {
    const faults = findChainFaults(parents([a], [b, a], [c, d], [d, c]));
    assert.deepEqual([...faults.keys()].sort(), [c, d].sort());
    assert.equal(faults.get(c)?.fault, "circle");
    assert.deepEqual(findChainFaults(parents([c, b])).get(c), { at: b, fault: "missing" });
  });

  it("findChainFaults() agrees with chainOf() on every map", () => {
    const ids = Array.from({ length: 8 }, (_, i) => chainIdOf(String(i)));
    const id = fc.constantFrom(...ids);
    fc.assert(fc.property(fc.array(fc.tuple(id, fc.option(id, { nil: undefined }))), (pairs) => {
      const layers = parents(...pairs);
      const faults = findChainFaults(layers);
      for (const top of layers.keys()) {
        if (faults.has(top)) assert.throws(() => chainOf(top, layers), refusal("CORRUPT"));
        else assert.equal(chainOf(top, layers)[0], top);
      }
    }));
  });
});
