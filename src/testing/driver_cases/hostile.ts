// SPDX-License-Identifier: Apache-2.0
/**
 * Archives of attackers: they give the tree that they must, or are refused, and nothing else changes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasCode } from "../../core/errors.ts";
import { ensureDir } from "../../host/files.ts";
import { RootedDir } from "../../host/rooted_dir.ts";
import { type HostileArchive, hostileArchives } from "../hostile_archives.ts";
import { addLayer } from "../layer_builder.ts";
import type { LayerLocation } from "../../driver/interfaces/layer_sealer.ts";
import { listingOf } from "../tree_listing.ts";
import { assertMerged, at, type DriverCase, type DriverContext, inView, keepsOwners, listingAt, put } from "./case.ts";

/** In a line of a listing: what comes before a directory's time, and the time. */
const DIRECTORY_TIME = /^(.*\/ dir \d+ \d+:\d+ )[\d.-]+/;

/** Cases about hostile archives. Their devices are a part of what is expected, so their owners must be kept. */
export const hostileCases: readonly DriverCase[] = hostileArchives.map((archive) => ({
  name: `hostile: ${archive.name}`,
  needs: keepsOwners,
  run: (context) => runAttack(context, archive),
}));

async function runAttack(context: DriverContext, archive: HostileArchive): Promise<void> {
  const { driver, work } = context;
  const outside = `${work}/outside`;
  makeVictim(outside);
  const { layers, wanted } = archive.build(outside);
  const add = (below: readonly LayerLocation[], bytes: Uint8Array) => addLayer(driver, { archive: bytes, below, work });
  const before = listingAt(work);
  let stack: readonly LayerLocation[] = [];
  for (const bytes of layers.slice(0, -1)) stack = await add(stack, bytes);
  const lower = await homeAndLayers(context, stack);
  const last = layers.at(-1) ?? new Uint8Array();
  if (wanted === "refused") {
    await assert.rejects(
      () => add(stack, last),
      (error) => hasCode(error, "INVALID_ARCHIVE") || hasCode(error, "LIMIT_EXCEEDED"),
    );
    assert.deepEqual(await homeAndLayers(context, stack), lower);
  } else {
    await assertMerged(context, await add(stack, last), wanted);
  }
  assert.deepEqual(withoutRoot(listingAt(work)), withoutRoot(before));
}

function makeVictim(outside: string): void {
  ensureDir(`${outside}/victim/dir`, 0o700);
  using tree = RootedDir.open(outside);
  put(tree, "victim/file", "precious");
  tree.mknod(at("victim/fifo"), { type: "fifo", mode: 0o600 });
}

/**
 * All that the home holds, and all that the layers show. A driver that mounts what it looks into makes mount points and
 * removes them, so the times of the home's directories tell nothing; those of the layers' own count.
 */
async function homeAndLayers(context: DriverContext, stack: readonly LayerLocation[]): Promise<readonly string[]> {
  const home = listingAt(context.driver.spec.home).map((line) => line.replace(DIRECTORY_TIME, "$1"));
  return stack.length === 0 ? home : [...home, ...await inView(context, stack, listingOf)];
}

/** Staging comes and goes in the directory itself, which changes its time. */
function withoutRoot(listing: readonly string[]): readonly string[] {
  return listing.slice(1);
}
