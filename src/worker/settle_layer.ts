// SPDX-License-Identifier: Apache-2.0
/**
 * Settling an unpacked layer on the tree below it.
 *
 * Layers are unpacked by themselves, so that those of an image can be unpacked side by side. What a layer takes from
 * below is settled afterwards, in order. When a parent directory of its members turns out to be a symlink below, the
 * layer is made once more from its own tar-split and tree, with that knowledge.
 *
 * @module
 */
import { openOwnedTree } from "../changeset/override_dir.ts";
import type { DiffId } from "../core/digest.ts";
import { StrataError } from "../core/errors.ts";
import type { IdMappings } from "../core/id_map.ts";
import { REPLAYS_MAX } from "../core/limits.ts";
import type { Changeset, Ownership, Redirects } from "../changeset/change.ts";
import { settle } from "../changeset/settle.ts";
import type { TreeView } from "../changeset/tree_view.ts";
import { RootedDir } from "../host/rooted_dir.ts";
import { assemble } from "../tarsplit/assemble.ts";
import { LayerContents } from "./layer_contents.ts";
import { LayerPipeline } from "./layer_pipeline.ts";
import type { StagedLayer } from "./staged_layer.ts";
import { readTarSplit } from "./tar_split_file.ts";

/** An unpacked layer, and the tree it comes to lie on. */
export interface Unsettled {
  readonly staged: StagedLayer;
  readonly diffId: DiffId;
  readonly changeset: Changeset;
  readonly ownership: Ownership;
  /** Under which ids the layer's owners are kept. Absent: under their own. */
  readonly idMappings?: IdMappings | undefined;
  /** Absent: nothing is below. */
  readonly below: TreeView | undefined;
}

/** A layer that agrees with the tree below it. */
export interface Settled {
  readonly changeset: Changeset;
  /** Whether members went through symlinks below, so that their names alone do not lead to their contents. */
  readonly paths: "own" | "redirected";
}

/**
 * Settles a layer; its staged tree is complete afterwards but for whiteouts, which are the driver's.
 * @throws {StrataError} `INVALID_ARCHIVE` when the layer does not fit the tree below
 */
export async function settleLayer(layer: Unsettled): Promise<Settled> {
  let { changeset } = layer;
  let redirects: Redirects | undefined;
  for (let replays = 0; replays <= REPLAYS_MAX; replays++) {
    const outcome = settleOnce({ ...layer, changeset }, redirects);
    if (outcome.kind === "settled") {
      return { changeset: outcome.changeset, paths: redirects === undefined ? "own" : "redirected" };
    }
    redirects = outcome.redirects;
    changeset = await replay(layer, redirects);
  }
  throw cannotSettle(layer.diffId);
}

/** The refusal of a layer whose paths cannot be given back on the layers below it. */
export function cannotSettle(diffId: DiffId): StrataError {
  return new StrataError(
    "INVALID_ARCHIVE",
    `Cannot place layer ${diffId}: its paths lead through symlinks of the layers below in a way that cannot be given back`,
    { stage: "commit" },
  );
}

function settleOnce(
  { staged, changeset, below, ownership, idMappings }: Unsettled,
  redirects: Redirects | undefined,
): ReturnType<typeof settle> {
  using tree = openOwnedTree(staged.treeDir, ownership);
  return settle({ changeset, tree, below, ownership, idMappings, ...(redirects === undefined ? {} : { redirects }) });
}

/** Makes the staged layer again from its own tar-split and tree, its members going where the redirects say. */
async function replay({ staged, diffId, ownership, idMappings }: Unsettled, redirects: Redirects): Promise<Changeset> {
  const first = staged.moveAside();
  using tree = RootedDir.open(first.treeDir);
  const contents = new LayerContents(tree);
  using pipeline = new LayerPipeline(staged, { ownership, idMappings, redirects });
  for (const chunk of assemble(await readTarSplit(first.tarSplitPath), contents)) pipeline.push(chunk);
  const again = await pipeline.finish();
  if (again.diffId !== diffId) throw cannotSettle(diffId);
  first.remove();
  return again.changeset;
}
