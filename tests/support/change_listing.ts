// SPDX-License-Identifier: Apache-2.0
/**
 * When everything below a directory last changed in any way, so that a test can tell that nothing did.
 *
 * @module
 */
import { lstatSync, readdirSync } from "node:fs";

/** By path: inode, mode, size and both times of change. */
export function changeListing(root: string): Map<string, string> {
  const listing = new Map<string, string>();
  // Not readdir's `recursive`: Node 20 follows symlinks with it.
  for (const pending = [root]; pending.length > 0;) {
    const path = pending.pop()!;
    const stat = lstatSync(path, { bigint: true });
    listing.set(path, `${stat.ino} ${stat.mode} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`);
    if (stat.isDirectory()) pending.push(...readdirSync(path).map((name) => `${path}/${name}`));
  }
  return listing;
}

/** The paths whose entries differ. */
export function changedPaths(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path) !== after.get(path));
}
