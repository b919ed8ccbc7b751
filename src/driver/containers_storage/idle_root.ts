// SPDX-License-Identifier: Apache-2.0
/**
 * What the root directory of a layer of containers/storage changes. That tool makes it anew for every layer, so that its
 * times say when that was; archives do not describe it, and its own lists of changes leave it out.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { parentOf, ROOT } from "../../core/layer_path.ts";
import type { Change } from "../../changeset/change.ts";
import type { TreeView } from "../../changeset/tree_view.ts";

/** Two trees that were compared. */
export interface ComparedRoots {
  readonly now: TreeView;
  readonly before: TreeView;
}

/** The changes without that of the root, where only its times changed, and no name in it came or went. */
export function withoutIdleRoot(changes: readonly Change[], roots: ComparedRoots): Change[] {
  const others = changes.filter(({ path }) => path !== ROOT);
  const isFilled = others.some(({ kind, path }) => kind !== "modify" && parentOf(path) === ROOT);
  const isIdle = !isFilled && isSameButTimes(roots);
  return isIdle ? others : [...changes];
}

function isSameButTimes({ now, before }: ComparedRoots): boolean {
  const [one, other] = [now.stat(ROOT), before.stat(ROOT)];
  if (one?.mode !== other?.mode || one?.uid !== other?.uid || one?.gid !== other?.gid) return false;
  const [ours, theirs] = [now.xattrs(ROOT), before.xattrs(ROOT)];
  for (const [name, value] of ours) {
    const other = theirs.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return ours.size === theirs.size;
}
