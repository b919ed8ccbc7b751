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
 * The symlinks below at which the premise fails, and those to which they lead in turn; empty when it holds. They are
 * kept one by one, since the layer may replace any of them.
 * @throws {StrataError} `INVALID_ARCHIVE` for a loop of symlinks
 */
export function findRedirects({ changeset, tree, view, lower }: StagedLayer): Redirects {
  const implied = new Set(changeset.impliedDirs);
  const redirects = new Map<LayerPath, ByteString>();
  /** Symlinks of both trees together. A directory that is only implied is the very question, so it does not answer. */
  const linkAt = (path: LayerPath): ByteString | undefined => {
    const own = implied.has(path) ? undefined : tree.stat(path);
    if (own !== undefined) return own.type === "symlink" ? tree.readlink(path) : undefined;
    if (lower.visible(path)?.type !== "symlink") return undefined;
    const text = view.readlink(path);
    redirects.set(path, text);
    return text;
  };
  for (const path of changeset.enteredDirs) {
    if (lower.visible(path)?.type !== "symlink" || redirects.has(path)) continue;
    redirects.set(path, view.readlink(path));
    resolvePath(path, (at) => at === path ? redirects.get(at) : linkAt(at));
  }
  return redirects;
}
