// SPDX-License-Identifier: Apache-2.0
/**
 * Puts a layer that was unpacked by itself onto the tree below it, such that the outcome is that of unpacking one layer
 * after the other. Layers settle in order; that is the only part of their unpacking that does.
 *
 * - Where the layer entered a directory that is a symlink below, it must be unpacked once more, redirected.
 * - Directories without a member of their own get the metadata of those below.
 * - Hard links to files below get a copy of the file. It also takes the file's own name if that still shows, so that
 *   both names remain one object in every driver.
 * - Whiteouts and opaque directories are reduced to those that hide something, each in the one form that every driver
 *   can express: a whiteout where the tree has nothing, an opaque directory where it has a directory.
 *
 * @module
 */
import { compareBytes, display } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { ancestorsOf, type LayerPath, parentOf } from "../core/layer_path.ts";
import { hostShift, IDENTITY, type IdMappings } from "../core/id_map.ts";
import { fromOsError } from "../host/errno.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Ownership, PendingLink, Redirects } from "./change.ts";
import { ExactTree, LowerTree } from "./lower_tree.ts";
import { findRedirects, type StagedLayer } from "./redirects.ts";
import { StagedEdit } from "./staged_edit.ts";
import type { TreeView } from "./tree_view.ts";

/** A layer unpacked by itself, and what it is to stand on. */
export interface SettleRequest {
  readonly changeset: Changeset;
  /** The tree that goes with the changeset; it is completed. */
  readonly tree: RootedDir;
  /** The tree below, with the archives' ids; absent for a base layer. */
  readonly below: TreeView | undefined;
  readonly ownership: Ownership;
  /** As the layer was unpacked. */
  readonly idMappings?: IdMappings | undefined;
  /** Those under which the layer was unpacked. */
  readonly redirects?: Redirects;
}

/** The layer fits; or it must be unpacked again under these redirects, at most `REPLAYS_MAX` times. */
export type Settlement =
  | { readonly kind: "settled"; readonly changeset: Changeset }
  | { readonly kind: "replay"; readonly redirects: Redirects };

/**
 * Completes a layer's tree with what it needs from below. Nothing is changed when the layer has to be unpacked again.
 * @throws {StrataError} `INVALID_ARCHIVE` for a hard link to nothing and for a loop of symlinks
 */
export function settle(request: SettleRequest): Settlement {
  try {
    return request.below === undefined ? settleBase(request) : settleOn(request, request.below);
  } catch (error) {
    throw fromOsError(error, "put the layer onto the layers below");
  }
}

/** With nothing below, nothing can be hidden; and a hard link has to be to the layer's own file. */
function settleBase({ changeset }: SettleRequest): Settlement {
  const [link] = changeset.pendingLinks;
  if (link !== undefined) refuseLink(link, "no such file");
  return { kind: "settled", changeset: { ...changeset, whiteouts: [], opaques: [] } };
}

function settleOn(request: SettleRequest, view: TreeView): Settlement {
  const { changeset, tree, ownership, idMappings = IDENTITY, redirects: previous = [] } = request;
  const lower = new LowerTree(view, changeset);
  const layer: StagedLayer = { changeset, tree, view, lower };
  const redirects = findRedirects(layer);
  if (redirects.size > 0) return { kind: "replay", redirects: new Map([...previous, ...redirects]) };
  const route = { from: view, to: tree, ownership, shift: hostShift(idMappings) };
  const edit = new StagedEdit({ route, lower, changeset });
  linkPending(layer, edit);
  edit.finish();
  const hiding = reduceHiding(layer);
  // An implied directory in place of a hidden one is new: nothing of it comes from below.
  const impliedDirs = edit.impliedDirs.filter((dir) => !lower.isHidden(dir)).sort(compareBytes);
  // Files that were copied up are in the tree as well.
  const treeBytes = changeset.pendingLinks.length === 0 ? changeset.treeBytes : undefined;
  return { kind: "settled", changeset: { ...changeset, ...hiding, impliedDirs, pendingLinks: [], treeBytes } };
}

/** All links to one file below become one object. */
function linkPending({ changeset, tree, lower }: StagedLayer, edit: StagedEdit): void {
  const taken = new Set(changeset.pendingLinks.map((link) => link.path));
  const copies = new Map<LayerPath, LayerPath>();
  for (const link of changeset.pendingLinks) {
    const { path, target } = link;
    const copy = copies.get(target);
    if (copy !== undefined) {
      edit.link(copy, path);
      continue;
    }
    const stat = lower.whole.stat(target);
    if (stat === undefined) refuseLink(link, "no such file");
    if (stat.type === "dir") refuseLink(link, "it is a directory");
    const showsItself = !lower.isHidden(target) && isFree(tree, { path: target, taken });
    const at = showsItself ? target : path;
    edit.copyUp(target, at, stat);
    copies.set(target, at);
    if (showsItself) edit.link(at, path);
  }
}

/** Whether what is below at the path shows through the staged tree. */
function isFree(tree: RootedDir, { path, taken }: { path: LayerPath; taken: ReadonlySet<LayerPath> }): boolean {
  for (const dir of ancestorsOf(path)) {
    const stat = tree.stat(dir);
    if (stat === undefined) return !taken.has(dir);
    if (stat.type !== "dir") return false;
  }
  return !taken.has(path) && tree.stat(path) === undefined;
}

function reduceHiding({ changeset, tree, lower }: StagedLayer): Pick<Changeset, "whiteouts" | "opaques"> {
  const staged = new ExactTree(tree);
  const hidesDir = (dir: LayerPath) => lower.whole.hasDir(dir) && staged.hasDir(dir);
  const opaques = new Set(changeset.opaques.filter((dir) => !lower.isHidden(dir) && hidesDir(dir)));
  const whiteouts = new Set<LayerPath>();
  for (const path of changeset.whiteouts) {
    const parent = parentOf(path);
    if (lower.hidesInside(parent) || lower.whole.stat(path) === undefined) continue;
    if (hidesDir(path)) opaques.add(path);
    else if (staged.stat(path) === undefined && staged.hasDir(parent)) whiteouts.add(path);
  }
  return { whiteouts: [...whiteouts].sort(compareBytes), opaques: [...opaques].sort(compareBytes) };
}

function refuseLink({ path, target }: PendingLink, why: string): never {
  const [entry, to] = [display(path), display(target)];
  throw new StrataError(
    "INVALID_ARCHIVE",
    `Cannot make the hard link "${entry}" to "${to}": ${why}, neither in the layer nor below it; have the layer rebuilt`,
    { stage: "commit", entry },
  );
}
