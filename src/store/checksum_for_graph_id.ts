// SPDX-License-Identifier: Apache-2.0
/**
 * The identity that a directory of the driver has as a layer: what {@link registerByGraphId} is to be told. moby,
 * layer/migration.go, `ChecksumForGraphID`.
 *
 * @module
 */
import { randomId } from "../core/ids.ts";
import { fromOsError } from "../host/errno.ts";
import { removeTreeAt, renamePath } from "../host/files.ts";
import type { LayerChecksum } from "../worker/jobs/checksum.ts";
import type { StoreContext } from "./context.ts";
import { parseGraphId, requireDirectory } from "./graph_id.ts";

export type { LayerChecksum } from "../worker/jobs/checksum.ts";

/** Of what, and where the tar-split goes. */
export interface ChecksumForGraphIdOptions {
  /** Name of the directory below. Absent: the directory is compared with an empty tree. */
  readonly parent?: string;
  /** Path of the tar-split file to be made; a file that is there is replaced at the end. */
  readonly newTarSplitPath: string;
  /** Aborting leaves no file behind. */
  readonly signal?: AbortSignal;
}

/**
 * Packs what a directory changes of the one below, and gives the digest and size of that tar; its gzipped tar-split is
 * written to a file.
 * @throws {StrataError} `INVALID_ARGUMENT` for an id, `NOT_FOUND`, `NO_SPACE`, `IO`, `ABORTED`
 */
export async function checksumForGraphId(
  context: StoreContext,
  graphId: string,
  options: ChecksumForGraphIdOptions,
): Promise<LayerChecksum> {
  const { parent, newTarSplitPath, ...stopping } = options;
  const id = parseGraphId(graphId);
  const from = parent === undefined ? undefined : parseGraphId(parent);
  for (const directory of from === undefined ? [id] : [id, from]) requireDirectory(context, directory);
  const tarSplitPath = `${newTarSplitPath}.${randomId().slice(0, 12)}.tmp`;
  try {
    const request = { driver: context.driver.spec, id, from, tarSplitPath };
    const checksum = await context.pool.run("checksum", request, { ...stopping, whenAborted: "wait" });
    renamePath(tarSplitPath, newTarSplitPath, { replace: "allow" });
    return checksum;
  } catch (error) {
    removeTreeAt(tarSplitPath);
    throw fromOsError(error, `write the tar-split file "${newTarSplitPath}"`);
  }
}
