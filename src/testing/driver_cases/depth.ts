// SPDX-License-Identifier: Apache-2.0
/**
 * Deep stacks: of layers, up to the most that this package registers and the kernel's overlayfs takes, and of writable
 * layers upon each other.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { randomCacheId } from "../../core/ids.ts";
import { CHAIN_DEPTH_MAX } from "../../core/limits.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import { stackOf as stackIn } from "../../driver/driver.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { addLayer, dir, file, type LayerMember, whiteout } from "../layer_builder.ts";
import { shapeOf, type TreeShape } from "../tree_listing.ts";
import {
  assertMerged,
  at,
  type DriverCase,
  type DriverContext,
  inTree,
  inView,
  put,
  stackOf,
  withSnapshots,
  withWritable,
} from "./case.ts";

/** What overlayfs takes, and containers/storage with it. */
const KERNEL_LOWERS_MAX = 500;
/** A chain of snapshots is one writable layer on the others. */
const SNAPSHOTS = 100;

/** Cases about deep stacks. */
export const depthCases: readonly DriverCase[] = [
  {
    name: `a stack of ${CHAIN_DEPTH_MAX} layers merges, and is written upon`,
    needs: ({ lowersMax }) => lowersMax >= CHAIN_DEPTH_MAX,
    run: async (context) => void await deepStack(context, CHAIN_DEPTH_MAX),
  },
  {
    name:
      `a stack of ${KERNEL_LOWERS_MAX} layers, or of as many as can be mounted, is written upon; a deeper one is refused`,
    cost: "heavy",
    run: deepestStack,
  },
  { name: `${SNAPSHOTS} snapshots upon each other keep what each wrote`, run: deepSnapshots },
];

/** Every layer writes one file of its own and one that all write, and removes what the tenth before it wrote. */
function deepLayer(index: number): readonly LayerMember[] {
  const removed = index >= 10 ? [whiteout(`d/${index - 10}`)] : [];
  return [dir("d"), file(`d/${index}`, String(index)), file("last", String(index)), ...removed];
}

function deepTree(depth: number): TreeShape {
  const files = Array.from({ length: Math.min(depth, 10) }, (_, i): [string, string] => {
    const index = String(depth - 1 - i);
    return [`d/${index}`, index];
  });
  return { "d/": "", ...Object.fromEntries(files), last: String(depth - 1) };
}

async function deepStack(context: DriverContext, depth: number): Promise<readonly LayerLocation[]> {
  const stack = await stackOf(context, Array.from({ length: depth }, (_, index) => deepLayer(index)));
  await assertMerged(context, stack, deepTree(depth));
  await withWritable(context, stack, async ({ id, path }) => {
    inTree(path, (tree) => {
      put(tree, "last", "written");
      tree.removeTree(at("d"));
    });
    await context.driver.put(id);
    const stackWithIt = [context.driver.locate(id), ...stack];
    assert.deepEqual(await inView(context, stackWithIt, shapeOf), { last: "written" });
  });
  return stack;
}

async function deepestStack(context: DriverContext): Promise<void> {
  const { driver, work } = context;
  const { lowersMax } = driver.capabilities;
  // Mounted read-only, the topmost layer counts as well.
  let stack = await deepStack(context, Math.min(lowersMax, KERNEL_LOWERS_MAX));
  if (!Number.isFinite(lowersMax)) return;
  await assert.rejects(async () => {
    while (stack.length <= lowersMax) {
      stack = await addLayer(driver, { archive: deepLayer(stack.length), below: stack, work });
    }
    const id = randomCacheId();
    await driver.createReadWrite(id, stack[0]?.cacheId);
    await driver.get(id);
  }, (error) => hasCode(error, "MAX_DEPTH"));
  assert.deepEqual(driver.debris(), []);
}

async function deepSnapshots(context: DriverContext): Promise<void> {
  const steps = Array.from({ length: SNAPSHOTS }, (_, index) => (tree: RootedDir) => {
    put(tree, "bottom", String(index));
    put(tree, String(index), "own");
  });
  const { driver } = context;
  await withSnapshots(context, { steps }, async (ids) => {
    for (const [index, id] of ids.entries()) {
      if (index % 33 !== 0) continue;
      await using view = await driver.view(stackIn(driver, id));
      const own = Array.from({ length: index + 1 }, (_, below): [string, string] => [String(below), "own"]);
      assert.deepEqual(shapeOf(view), { ...Object.fromEntries(own), bottom: String(index) });
    }
  });
}
