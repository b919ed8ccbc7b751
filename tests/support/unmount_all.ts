// SPDX-License-Identifier: Apache-2.0
/**
 * Taking away what a test has mounted, also when it has failed in the middle.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { mountsBelow } from "../../src/host/mount_table.ts";

/** Unmounts all on and below an absolute path; what is in use goes from the tree at once, and for good with its last user. */
export function unmountAll(path: string): void {
  for (const { mountPoint } of mountsBelow(path).reverse()) {
    if (spawnSync("umount", ["--", mountPoint]).status === 0) continue;
    const { status, stderr } = spawnSync("umount", ["--lazy", "--", mountPoint], { encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot unmount "${mountPoint}": ${stderr.trim()}`);
  }
}
