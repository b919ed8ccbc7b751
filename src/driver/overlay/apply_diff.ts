// SPDX-License-Identifier: Apache-2.0
/**
 * Applying a diff to an overlay layer without a mount: a layer that holds nothing yet gets the diff as its own files, with
 * whiteouts in the kernel's form.
 *
 * @module
 */
import { mergeChangeset } from "../../changeset/merge.ts";
import { openOwnedTree } from "../../changeset/override_dir.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import type { IdMappings } from "../../core/id_map.ts";
import type { CacheId } from "../../core/ids.ts";
import { listNames } from "../../host/files.ts";
import { mountAt } from "../../host/mount_table.ts";
import { withUnpacked } from "../naive/apply_diff.ts";
import type { Diff } from "../interfaces/diff_driver.ts";
import { directorySize } from "../parts/directory_size.ts";
import type { DriverCapabilities, DriverSpec } from "../interfaces/driver_spec.ts";
import type { LayerLocation } from "../interfaces/layer_sealer.ts";
import { maskLayer, tellProgram, untellRoot } from "./force_mask.ts";
import { addForm } from "./layer_form.ts";
import { parseOverlayOptions } from "./options.ts";
import { isCommitted } from "./seal.ts";
import { type MarkSpace, writeWhiteouts } from "./whiteouts.ts";

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
 * Applies a diff to a blank layer; gives the size of the layer's own files, as Docker does.
 * @throws {StrataError} as unpacking does
 */
export async function applyOverlayDiff(
  driver: DiffTarget,
  { stack: [own, ...lowers], marks, ...request }: OverlayDiffRequest,
): Promise<number> {
  const { spec: { home, options }, capabilities: { ownership } } = driver;
  using below = lowers.length === 0 ? undefined : driver.view(lowers);
  return await withUnpacked({ ...request, home, ownership, below }, (changeset, tree) => {
    const { forceMask, mountProgram } = parseOverlayOptions(options);
    const mounter = mountProgram === undefined ? "kernel" : "program";
    const readableBy = below && writeWhiteouts({ tree, changeset, below, marks, mounter });
    if (readableBy === "program") addForm(own.dir, "program");
    const diff = `${own.dir}/diff`;
    if (forceMask !== undefined) untellRoot(own.dir);
    using into = openOwnedTree(diff, ownership);
    mergeChangeset({ changeset: { ...changeset, whiteouts: [], opaques: [] }, tree, into });
    if (forceMask !== undefined) {
      maskLayer(own.dir, diff, forceMask);
      tellProgram(own.dir);
    }
    return directorySize(into);
  });
}
