// SPDX-License-Identifier: Apache-2.0
/**
 * Files of a file system behind which a program serves (fuse(4)): a look at a name can take as long as a download. So
 * everything here is asynchronous, and goes on while this process's event loop does.
 *
 * @module
 */
import { open, rmdir, stat, unlink } from "node:fs/promises";

/** What a name leads to, symlinks followed; `undefined` when it cannot be reached, whyever. */
export async function servedType(path: string): Promise<"dir" | "other" | undefined> {
  try {
    return (await stat(path)).isDirectory() ? "dir" : "other";
  } catch {
    return undefined;
  }
}

/**
 * Has the program see that a file is to be made. It may make none, and answer whatever it likes; one that comes to be is
 * removed again, and one that was there stays.
 */
export async function pokeCreate(path: string): Promise<void> {
  try {
    const file = await open(path, "wx");
    await file.close();
    await unlink(path);
  } catch {
    // The answer means nothing: programs that take note say that there is no such file.
  }
}

/** Has the program see that a directory is to be removed. It may keep it, and one that is not empty stays in any case. */
export async function pokeRmdir(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch {
    // As above.
  }
}
