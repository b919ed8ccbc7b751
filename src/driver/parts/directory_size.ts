// SPDX-License-Identifier: Apache-2.0
/**
 * The size of a tree, as Docker counts it.
 *
 * @module
 */
import { joinPath, type LayerPath, ROOT } from "../../core/layer_path.ts";
import type { RootedDir } from "../../host/rooted_dir.ts";
import type { DiskUsage } from "../interfaces/proto_driver.ts";

/** Bytes of all that is no directory: see {@link directoryUsage}. */
export function directorySize(tree: RootedDir): number {
  return directoryUsage(tree).bytes;
}

/**
 * What a tree occupies. Bytes are those of all that is no directory: files once however many links they have, symlinks
 * by the length of their targets, devices 0. Inodes are those of all objects, the root included. They are told apart by
 * their number alone, since a layer is one file system.
 */
export function directoryUsage(tree: RootedDir): DiskUsage {
  const counted = new Set<bigint>();
  let bytes = 0;
  const pending: LayerPath[] = [ROOT];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const stat = tree.stat(path);
    if (stat === undefined) continue;
    if (stat.type === "dir") { for (const { name } of tree.list(path)) pending.push(joinPath(path, name)); }
    else if (!counted.has(stat.ino)) bytes += stat.size;
    counted.add(stat.ino);
  }
  return { bytes, inodes: counted.size };
}
