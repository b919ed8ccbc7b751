// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer's tar-split needs of its tree, and what the tree has beside.
 *
 * @module
 */
import { display } from "../../core/bytes.ts";
import { StrataError } from "../../core/errors.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import { tarSplitBatches } from "../tar_split_file.ts";
import type { VerifyRequest } from "./verify.ts";

/** The contents of a layer's archive that lie in its tree. */
export interface ContentSums {
  /** Files with content. */
  readonly files: number;
  /** Bytes of those. */
  readonly bytes: number;
}

/**
 * Counts the contents of a layer, without reading them.
 * @throws {StrataError} `CORRUPT` naming a file that the archive has not, or for a damaged tar-split
 */
export async function checkContents({ driver, stack, tarSplitPath }: VerifyRequest): Promise<ContentSums> {
  await using files = await (await loadDriver(driver)).diffGetter(stack);
  return await surveyContents(tarSplitPath, files);
}

/**
 * As {@link checkContents}, of files that are open.
 * @throws {StrataError} as {@link checkContents}
 */
export async function surveyContents(tarSplitPath: string, tree: DiffGetter): Promise<ContentSums> {
  // Only of trees that others fill it is to be known what they have.
  const members = tree.findStray === undefined ? undefined : new Set<LayerPath>();
  let [files, bytes] = [0, 0];
  for await (const batch of tarSplitBatches(tarSplitPath)) {
    for (const record of batch) {
      if (record.type !== "file") continue;
      members?.add(parseLayerPath(record.name));
      if (record.size > 0) files++;
      bytes += record.size;
    }
  }
  if (members !== undefined) refuseStray(tree.findStray?.(members));
  return { files, bytes };
}

/** The archive does not tell of files that somebody else put into the layer's tree. */
function refuseStray(stray: LayerPath | undefined): void {
  if (stray === undefined) return;
  const path = display(stray);
  throw new StrataError("CORRUPT", `its tree has "${path}", and its archive has not: another diff was applied to it`, {
    path,
  });
}
