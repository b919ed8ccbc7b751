// SPDX-License-Identifier: Apache-2.0
/**
 * The premise under which a layer is unpacked by itself: where it entered a directory that it had not made, the layers
 * below have no symlink. Where they do, the member belongs at the symlink's target (must-accept shape: `lib -> usr/lib`
 * below, then `lib/x`), and the layer is unpacked once more, redirected.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { LayerPath } from "../core/layer_path.ts";
import type { RootedDir } from "../host/rooted_dir.ts";
import type { Changeset, Redirects } from "./change.ts";
import type { LowerTree } from "./lower_tree.ts";
import { resolvePath } from "./resolve.ts";
import type { TreeView } from "./tree_view.ts";

/** A layer's tree and what it stands on. */
export interface StagedLayer {
  readonly changeset: Changeset;
  readonly tree: RootedDir;
  readonly view: TreeView;
  readonly lower: LowerTree;
}

/**
 * Where the premise fails, with the directory that is meant instead; empty when it holds.
 * @throws {StrataError} `INVALID_ARCHIVE` for a loop of symlinks
 */
export function findRedirects(staged: StagedLayer): Redirects {
  const { changeset, tree, view, lower } = staged;
  const implied = new Set(changeset.impliedDirs);
  /** Symlinks of both trees together. A directory that is only implied is the very question, so it does not answer. */
  const linkAt = (path: LayerPath): ByteString | undefined => {
    const own = implied.has(path) ? undefined : tree.stat(path);
    if (own !== undefined) return own.type === "symlink" ? tree.readlink(path) : undefined;
    return lower.visible(path)?.type === "symlink" ? view.readlink(path) : undefined;
  };
  const redirects = new Map<LayerPath, LayerPath>();
  for (const path of changeset.enteredDirs) {
    if (lower.visible(path)?.type !== "symlink") continue;
    redirects.set(path, resolvePath(path, (at) => at === path ? view.readlink(path) : linkAt(at)));
  }
  return redirects;
}
