// SPDX-License-Identifier: Apache-2.0
/**
 * Taking over a tar-split that another store or tool has made.
 *
 * @module
 */
import { copyContent } from "../host/copy_tree.ts";
import { fromOsError } from "../host/errno.ts";
import { ensureDir, openForWrite } from "../host/files.ts";
import type { OpenFile } from "../host/open_file.ts";
import { TAR_SPLIT_FILE } from "../metadata/layer_record.ts";

/**
 * Copies a tar-split into the directory of a record that is to be.
 * @param open opens it, by the rules of where it comes from
 * @throws {StrataError} `NOT_FOUND`, `NO_SPACE`, `IO`
 */
export function copyTarSplit(from: string, recordDir: string, open: (path: string) => OpenFile): void {
  try {
    using source = open(from);
    ensureDir(recordDir, 0o700);
    using target = openForWrite(`${recordDir}/${TAR_SPLIT_FILE}`);
    copyContent(source, target);
  } catch (error) {
    throw fromOsError(error, `copy the tar-split file "${from}"`);
  }
}
