// SPDX-License-Identifier: Apache-2.0
/**
 * The size of a tree, as Docker counts it.
 *
 * @module
 */
import { joinPath, type LayerPath, ROOT } from "../core/layer_path.ts";
import type { RootedDir } from "../host/rooted_dir.ts";

/**
 * Bytes of all that is no directory: files once however many links they have, symlinks by the length of their targets,
 * devices 0. Inodes are told apart by their number alone, since a layer is one file system.
 */
export function directorySize(tree: RootedDir): number {
  const counted = new Set<bigint>();
  const pending: LayerPath[] = [ROOT];
  let sizeBytes = 0;
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    for (const { name, type } of tree.list(dir)) {
      const path = joinPath(dir, name);
      if (type === "dir") {
        pending.push(path);
        continue;
      }
      const stat = tree.stat(path);
      if (stat === undefined) continue;
      if (stat.type === "dir") pending.push(path);
      else if (!counted.has(stat.ino)) sizeBytes += stat.size;
      counted.add(stat.ino);
    }
  }
  return sizeBytes;
}
