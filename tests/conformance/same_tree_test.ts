// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../src/core/errors.ts";
import type { LayerLocation } from "../../src/driver/interfaces/layer_sealer.ts";
import { probeOverlay } from "../../src/driver/overlay/mounting/probe.ts";
import { listingAt, topId, withWritable } from "../../src/testing/driver_cases/case.ts";
import type { DriverContext } from "../../src/testing/driver_suite.ts";
import {
  addLayer,
  dir,
  fifo,
  file,
  hardlink,
  type LayerMember,
  layerTar,
  opaque,
  symlink,
  whiteout,
} from "../../src/testing/layer_builder.ts";
import { listingOf } from "../../src/testing/tree_listing.ts";
import { withScratchDriver } from "./scratch_driver.ts";

/** Few names, so that members meet each other. */
const path = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const target = fc.oneof(
  path,
  path.map((p) => `/${p}`),
  path.map((p) => `../${p}`),
  fc.constantFrom(".", "..", "missing"),
);
const metadata = fc.record({
  mode: fc.constantFrom(0o755, 0o700, 0o1777, 0o4711),
  uid: fc.constantFrom(0, 1000),
  mtime: fc.record({ sec: fc.integer({ min: 1, max: 2_000_000_000 }), nsec: fc.integer({ min: 0, max: 999_999_999 }) }),
});
const member: fc.Arbitrary<LayerMember> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(path, fc.string({ maxLength: 3 }), metadata).map((args) => file(...args)) },
  { weight: 4, arbitrary: fc.tuple(path, metadata).map((args) => dir(...args)) },
  { weight: 2, arbitrary: fc.tuple(path, target).map((args) => symlink(...args)) },
  { weight: 2, arbitrary: fc.tuple(path, path).map((args) => hardlink(...args)) },
  { weight: 1, arbitrary: path.map((p) => fifo(p)) },
  { weight: 3, arbitrary: path.map(whiteout) },
  { weight: 2, arbitrary: fc.oneof(path, fc.constant("")).map(opaque) },
);
const layers = fc.array(fc.array(member, { maxLength: 7 }), { minLength: 1, maxLength: 5 });

const reason = await probeOverlay(tmpdir());

test("a stack of layers is the same tree in every driver, mounted or not", { skip: reason ?? false }, async () => {
  await fc.assert(
    fc.asyncProperty(layers, async (stack) => {
      await withScratchDriver("vfs", async (vfs) => {
        await withScratchDriver("overlay2", async (overlay) => {
          await assertSameTree({ vfs, overlay }, stack);
        });
      });
    }),
    { numRuns: Number(process.env.STRATA_PROPERTY_RUNS ?? 60) },
  );
});

async function assertSameTree(
  { vfs, overlay }: { vfs: DriverContext; overlay: DriverContext },
  layers: readonly (readonly LayerMember[])[],
): Promise<void> {
  let inVfs: readonly LayerLocation[] = [];
  let inOverlay: readonly LayerLocation[] = [];
  for (const members of layers) {
    const archive = layerTar(members);
    const one = await added(vfs, { archive, below: inVfs });
    const two = await added(overlay, { archive, below: inOverlay });
    assert.equal(typeof one, typeof two, `one driver refused the layer: ${one} ${two}`);
    if (typeof one === "string" || typeof two === "string") continue;
    inVfs = one;
    inOverlay = two;
    assert.deepEqual(await listed(overlay, inOverlay), await listed(vfs, inVfs), "the views differ");
  }
  if (inOverlay.length === 0) return;
  const expected = await listed(vfs, inVfs);
  await withWritable(overlay, inOverlay, ({ path }) => {
    assert.deepEqual(listingAt(path), expected, "the writable mount differs");
  });
  const top = topId(inOverlay);
  assert.deepEqual(listingAt(await overlay.driver.get(top)), expected, "the read-only mount differs");
  await overlay.driver.put(top);
}

/** The stack with the layer on it, or the message with which it was refused. */
async function added(
  { driver, work }: DriverContext,
  layer: { archive: Uint8Array; below: readonly LayerLocation[] },
): Promise<readonly LayerLocation[] | string> {
  try {
    return await addLayer(driver, { ...layer, work });
  } catch (error) {
    if (hasCode(error, "INVALID_ARCHIVE")) return error.message;
    throw error;
  }
}

async function listed({ driver }: DriverContext, stack: readonly LayerLocation[]): Promise<readonly string[]> {
  await using view = await driver.view(stack);
  return listingOf(view);
}
