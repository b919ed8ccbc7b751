// SPDX-License-Identifier: Apache-2.0
/**
 * File systems in memory, which most machines have one of.
 *
 * @module
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fromText } from "../../src/core/bytes.ts";
import { ROOT } from "../../src/core/layer_path.ts";
import { fileSystemOf } from "../../src/host/fs_info.ts";
import { RootedDir } from "../../src/host/rooted_dir.ts";
import { unmountAll } from "./unmount_all.ts";

/** Where Linux has one. */
export const MEMORY = "/dev/shm";

/** Why a directory does not do as a tmpfs on which layers can be kept; `undefined` when it does. */
export function whyNoTmpfs(dir: string): string | undefined {
  try {
    const { name } = fileSystemOf(dir);
    if (name !== "tmpfs") return `"${dir}" is no tmpfs but ${name}`;
    const scratch = mkdtempSync(join(dir, "strata-"));
    try {
      using tree = RootedDir.open(scratch);
      tree.setXattr(ROOT, fromText("user.strata"), new Uint8Array(1));
    } finally {
      rmSync(scratch, { recursive: true });
    }
    return undefined;
  } catch (error) {
    return `no tmpfs with attributes of users, which Linux has from 6.6 on: ${error}`;
  }
}

/** A directory in memory that everybody may enter; disposing of it removes it, and what is mounted there. */
export function dirInMemory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(MEMORY, "strata-tmpfs-"));
  chmodSync(path, 0o755);
  return {
    path,
    [Symbol.dispose]() {
      unmountAll(path);
      rmSync(path, { recursive: true });
    },
  };
}
