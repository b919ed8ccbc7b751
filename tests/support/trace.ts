// SPDX-License-Identifier: Apache-2.0
/**
 * What shows that nobody touched a directory.
 *
 * @module
 */
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Names, times, sizes and modes of all that lies below. */
export function traceOf(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const { ino, mtimeMs, ctimeMs, size, mode, nlink } = lstatSync(join(root, name));
    return [name, ino, mtimeMs, ctimeMs, size, mode, nlink].join(" ");
  });
}
