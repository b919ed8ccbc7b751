// SPDX-License-Identifier: Apache-2.0
/**
 * Rebuilding a layer's archive from its tar-split file and its tree.
 *
 * @module
 */
import { type Digest, DigestWriter } from "../core/digest.ts";
import { assemble, type ContentSource } from "../tarsplit/assemble.ts";
import type { AbortFlag } from "./abort_flag.ts";
import { tarSplitBatches } from "./tar_split_file.ts";

/**
 * The archive's bytes, each file's content checked. A chunk is valid until the next one is asked for.
 * @throws {StrataError} `CORRUPT` when the tar-split file or a content is damaged
 */
export async function* rebuildArchive(tarSplitPath: string, contents: ContentSource): AsyncGenerator<Uint8Array> {
  for await (const batch of tarSplitBatches(tarSplitPath)) yield* assemble(batch, contents);
}

/**
 * Digest of the archive as it would be given back now.
 * @throws {StrataError} `CORRUPT` when the tar-split file or a content is damaged, `ABORTED` once the flag is up
 */
export async function archiveDigest(
  tarSplitPath: string,
  contents: ContentSource,
  abort?: AbortFlag,
): Promise<Digest> {
  const digest = new DigestWriter();
  for await (const chunk of rebuildArchive(tarSplitPath, contents)) {
    abort?.check();
    digest.update(chunk);
  }
  return digest.finish();
}
