// SPDX-License-Identifier: Apache-2.0
/**
 * Applying a diff to an overlay layer without a mount: its own files are changed, with whiteouts in the kernel's form. A layer
 * that holds nothing yet gets all of the diff so.
 *
 * @module
 */
import type { Ownership } from "../../changeset/change.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { IdMappings } from "../../core/id_map.ts";
import { StrataError } from "../../core/errors.ts";
import type { CacheId } from "../../core/ids.ts";
import { listNames } from "../../host/files.ts";
import { mountAt } from "../../host/mount_table.ts";
import { withUnpacked } from "../naive/apply_diff.ts";
import type { Diff } from "../interfaces/diff_driver.ts";
import { directorySize } from "../parts/directory_size.ts";
import { inTurn } from "../parts/turns.ts";
import type { DriverCapabilities, DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { maskLayer, untellProgram } from "./force_mask.ts";
import { parseOverlayOptions } from "./options.ts";
import { isCommitted } from "./seal.ts";
import { mergeIntoUpper } from "./upper_merge.ts";
import type { MarkSpace } from "./whiteouts.ts";

/** A diff, and where it goes. */
export interface OverlayDiffRequest {
  readonly diff: Diff;
  /** The layer, and all below it. */
  readonly stack: OverlayStack;
  /** Under which ids the layer is kept. */
  readonly idMappings: IdMappings;
  readonly marks: MarkSpace;
  readonly signal?: AbortSignal;
}

/** A layer and the layers below it, top first. */
export type OverlayStack = readonly [LayerLocation, ...LayerLocation[]];

/** What the driver is asked for. */
export interface DiffTarget {
  readonly spec: DriverSpec;
  readonly capabilities: DriverCapabilities;
  view(stack: readonly LayerLocation[]): TreeView;
}

/** Whether a layer may get a diff as its own files: it lies on `parent`, has none yet, and nobody looks at it. */
export function isBlankOn([{ dir }, below]: OverlayStack, parent: CacheId | undefined): boolean {
  return below?.cacheId === parent && !isCommitted(dir) && mountAt(`${dir}/merged`) === undefined &&
    listNames(`${dir}/diff`).length === 0;
}

/**
 * Applies a diff to a layer's own files, which nobody may look at meanwhile; gives the bytes it brought, and of a layer that
 * had none, the size of all its files, as Docker does.
 * @throws {StrataError} `IN_USE` for a mounted layer, `NOT_PERMITTED` for one on which others lie; as unpacking does
 */
export async function applyOverlayDiff(
  driver: DiffTarget,
  { stack, marks, ...request }: OverlayDiffRequest,
): Promise<number> {
  const [own, ...lowers] = stack;
  const { spec: { home, options }, capabilities: { ownership } } = driver;
  requireWritable(own);
  using merged = driver.view(stack);
  using below = lowers.length === 0 ? undefined : driver.view(lowers);
  return await withUnpacked(
    { ...request, home, ownership, below: merged },
    (changeset, tree) =>
      inTurn(own.dir, () => {
        requireWritable(own);
        const { forceMask, mountProgram } = parseOverlayOptions(options);
        const mounter = mountProgram === undefined ? "kernel" : "program";
        const diff = `${own.dir}/diff`;
        const isBlank = listNames(diff).length === 0;
        if (forceMask !== undefined) untellProgram(own.dir);
        mergeIntoUpper({ dir: own.dir, ownership, changeset, tree, below, marks, mounter });
        if (forceMask !== undefined) maskLayer(own.dir, diff, forceMask);
        return Promise.resolve(isBlank ? sizeOf(diff, ownership) : changeset.sizeBytes);
      }),
  );
}

function sizeOf(diff: string, ownership: Ownership): number {
  using tree = openOwnedTree(diff, ownership);
  return directorySize(tree);
}

function requireWritable({ cacheId, dir }: LayerLocation): void {
  const merged = `${dir}/merged`;
  if (mountAt(merged) !== undefined) {
    const message =
      `Cannot apply a diff to layer ${cacheId} while it is mounted: with "overlay2.force_mask" its files are ` +
      "written without the mount program, which forgets owners; unmount it first";
    throw new StrataError("IN_USE", message, { kind: "layer directory", name: cacheId, usedBy: [merged] });
  }
  if (!isCommitted(dir)) return;
  const message =
    `Cannot apply a diff to layer ${cacheId}: it is read-only, since layers lie upon it; make one upon it`;
  throw new StrataError("NOT_PERMITTED", message, { path: dir });
}
