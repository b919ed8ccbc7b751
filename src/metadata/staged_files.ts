// SPDX-License-Identifier: Apache-2.0
/**
 * Files of a record that is not published yet: nobody sees them, so they are written plainly, synced one by one, and
 * their directory after them. And the directories into which records are published.
 *
 * @module
 */
import { dirname } from "node:path";
import { type Durability, syncDir } from "../host/durable.ts";
import { ensureDir, openForWrite, pathExists } from "../host/files.ts";

export type { Durability } from "../host/durable.ts";

/**
 * Makes files in a directory of their own. Docker's mode 0644, which passes the umask.
 * @throws {OsError} `EEXIST` when one is there
 */
export function writeStagedFiles(
  dir: string,
  files: readonly (readonly [name: string, text: string])[],
  durability: Durability,
): void {
  for (const [name, text] of files) {
    using file = openForWrite(`${dir}/${name}`, { existing: "never", mode: 0o644 });
    file.write(new TextEncoder().encode(text));
    if (durability === "full") file.sync();
  }
  if (durability === "full") syncDir(dir);
}

/**
 * Makes a directory and those above it, when absent, each synced into the one above: a record must not be lost with
 * the directory that was made for it. `mode` is the last one's; those above get 0700.
 */
export function ensureRecordDir(path: string, mode: number, durability: Durability): void {
  if (pathExists(path)) return;
  const above = dirname(path);
  ensureRecordDir(above, 0o700, durability);
  ensureDir(path, mode);
  if (durability === "full") syncDir(above);
}
