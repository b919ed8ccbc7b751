// SPDX-License-Identifier: Apache-2.0
/**
 * What writers leave that are killed between making a file and giving it its name.
 *
 *   .tmp-<random>             this package's, in every directory whose files are replaced (`host/durable.ts`)
 *   layerdb/tmp/write-set-*   Docker's registrations
 *
 * Nobody holds a lock on them, so only their age tells them from files that are being written.
 *
 * @module
 */
import { fromOsError } from "../host/errno.ts";
import { listNames, statPath } from "../host/files.ts";
import type { StoreLayout } from "./layout.ts";

/** A file that is not in use any more once it is old enough. */
export interface TemporaryFile {
  readonly path: string;
  /** What it is, for people. */
  readonly what: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/** All of them in a store. */
export function listTemporaryFiles(layout: StoreLayout): TemporaryFile[] {
  const { holdsDir, recordsDir, namesDir, imageContentDir, imageDir, dockerTmpDir } = layout;
  try {
    return [
      ...[holdsDir, recordsDir, namesDir, imageContentDir, imageDir].flatMap((dir) =>
        filesIn(dir, { prefix: ".tmp-", what: "an unfinished write" })
      ),
      ...filesIn(dockerTmpDir, { prefix: "", what: "an unfinished registration of Docker's" }),
    ];
  } catch (error) {
    throw fromOsError(error, "list the temporary files");
  }
}

function filesIn(dir: string, { prefix, what }: { readonly prefix: string; readonly what: string }): TemporaryFile[] {
  return listNames(dir).filter((name) => name.startsWith(prefix)).flatMap((name) => {
    const path = `${dir}/${name}`;
    const mtime = statPath(path)?.mtime;
    return mtime === undefined ? [] : [{ path, what, modifiedMs: mtime.sec * 1000 + Math.floor(mtime.nsec / 1e6) }];
  });
}
