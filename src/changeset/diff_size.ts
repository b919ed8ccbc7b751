// SPDX-License-Identifier: Apache-2.0
/**
 * The size of what differs between two trees.
 *
 * @module
 */
import { inodeKey } from "../core/file_stat.ts";
import type { Change } from "./change.ts";
import type { TreeView } from "./tree_view.ts";

/** Changes to be counted. */
export interface DiffSizeRequest {
  readonly changes: Iterable<Change>;
  /** The tree that has what was added and modified. */
  readonly now: Pick<TreeView, "stat">;
  /** Called before each change. What it throws ends the count. */
  readonly onEntry?: () => void;
}

/** Bytes of all that was added or modified and is no directory, hard links once: what Docker's naive driver counts. */
export function diffSizeOf({ changes, now, onEntry }: DiffSizeRequest): number {
  const seen = new Set<string>();
  let sizeBytes = 0;
  for (const { path, kind } of changes) {
    onEntry?.();
    const stat = kind === "delete" ? undefined : now.stat(path);
    if (stat === undefined || stat.type === "dir" || seen.has(inodeKey(stat))) continue;
    seen.add(inodeKey(stat));
    sizeBytes += stat.size;
  }
  return sizeBytes;
}
