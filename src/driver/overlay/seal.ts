// SPDX-License-Identifier: Apache-2.0
/**
 * Giving an unpacked layer the form of an overlay layer.
 *
 * All that a layer's directory will ever hold is written here, `committed` included: once published it does not change
 * (I2). Nothing is synced: the caller syncs the file system once for all layers of an image.
 *
 * @module
 */
import { openOwnedTree } from "../../changeset/override_dir.ts";
import { StrataError } from "../../core/errors.ts";
import { writeFileAtomic } from "../../host/durable.ts";
import { pathExists, renamePath } from "../../host/files.ts";
import type { TreeView } from "../../changeset/tree_view.ts";
import { maskLayer } from "./force_mask.ts";
import { directorySize } from "../parts/directory_size.ts";
import { makeDirectory } from "../parts/layer_directory.ts";
import type { LayerLocation, SealedLayer, SealRequest } from "../interfaces/layer_sealer.ts";
import { addForm } from "./layer_form.ts";
import { type LinkName, lowerOf, readLinkName } from "./layout.ts";
import { LOWERS_MAX } from "./mounting/mount_data.ts";
import { isOutside } from "./outside/outside_diff.ts";
import { type MarkSpace, type Mounter, writeWhiteouts } from "./whiteouts.ts";

const LAYER_MODE = 0o710;
const WORK_MODE = 0o700;
const TEXT_MODE = 0o644;
const COMMITTED_MODE = 0o600;

/** What sealing takes beside the request. */
export interface SealContext {
  /** Opens the merged tree of a stack. */
  readonly view: (stack: readonly LayerLocation[]) => TreeView;
  /** The layer's short name. */
  readonly link: LinkName;
  readonly marks: MarkSpace;
  readonly mounter: Mounter;
  /** The mode of all files and directories, where attributes tell what they are. */
  readonly forceMask?: number | undefined;
}

/**
 * Turns `staging/tree` into `staging/layer`.
 * @throws {StrataError} `MAX_DEPTH` when the stack is too high
 */
export function sealOverlay(request: SealRequest, { view, link, marks, mounter, forceMask }: SealContext): SealedLayer {
  const { changeset, parents } = request;
  // A layer is mounted read-only with itself among the lowers.
  const lowers = lowersOn(parents, { countMax: LOWERS_MAX - 1 });
  const source = `${request.staging}/tree`;
  const dir = `${request.staging}/layer`;
  using tree = openOwnedTree(source, forceMask === undefined ? "archive" : "recorded");
  let readableBy: Mounter = "kernel";
  // Nothing lies below a base layer: it has nothing to hide, and its devices would show.
  if (parents.length > 0 && changeset.whiteouts.length + changeset.opaques.length > 0) {
    using below = view(parents);
    readableBy = writeWhiteouts({ tree, changeset, below, marks, mounter });
  }
  const sizeBytes = changeset.treeBytes ?? directorySize(tree);
  writeLayerFiles(dir, { lowers, link });
  if (readableBy === "program") addForm(dir, "program");
  if (forceMask !== undefined) maskLayer(dir, source, forceMask);
  markCommitted(dir);
  renamePath(source, `${dir}/diff`, { replace: "never" });
  return { cacheId: request.cacheId, dir, sizeBytes };
}

/**
 * What a layer on these parents (top first) has below it, as `lower` names it.
 * @throws {StrataError} `MAX_DEPTH` when the stack is too high
 */
export function lowersOn(
  parents: readonly LayerLocation[],
  { countMax = LOWERS_MAX }: { readonly countMax?: number } = {},
): readonly string[] {
  if (parents.length > countMax) {
    throw new StrataError(
      "MAX_DEPTH",
      `Cannot put a layer on ${parents.length} others: an overlay mount takes ${LOWERS_MAX}; use fewer layers`,
      { depth: parents.length, depthMax: countMax },
    );
  }
  return parents.map(({ dir }) => lowerOf(readLinkName(dir)));
}

/** What {@link writeLayerFiles} writes. */
export interface LayerFiles {
  readonly lowers: readonly string[];
  readonly link: LinkName;
  /** Called when there is nothing but the directory. */
  readonly whenMade?: () => void;
}

/** Makes a layer's directory with all but its `diff`. */
export function writeLayerFiles(dir: string, { lowers, link, whenMade }: LayerFiles): void {
  makeDirectory(dir, LAYER_MODE);
  whenMade?.();
  writeLinkName(dir, link);
  if (lowers.length === 0) return;
  makeDirectory(`${dir}/work`, WORK_MODE);
  writeLowers(dir, lowers);
}

/** Writes a layer's short name, in place of what was written before. */
export function writeLinkName(dir: string, link: LinkName): void {
  writeFileAtomic(`${dir}/link`, link, { mode: TEXT_MODE, durability: "none" });
}

/** Writes which layers lie below, in place of what was written before. */
export function writeLowers(dir: string, lowers: readonly string[]): void {
  writeFileAtomic(`${dir}/lower`, lowers.join(":"), { mode: TEXT_MODE, durability: "none" });
}

/** States that a layer is read-only, as Docker does once a layer has children. */
export function markCommitted(dir: string): void {
  writeFileAtomic(`${dir}/committed`, "", { mode: COMMITTED_MODE, durability: "none" });
}

/** Whether a layer is read-only. One whose files are outside always is, whatever became of its mark. */
export function isCommitted(dir: string): boolean {
  return pathExists(`${dir}/committed`) || isOutside(dir);
}
