// SPDX-License-Identifier: Apache-2.0
/**
 * Reading an archive whose tree is there already: its digest, and the tar-split by which both belong together.
 *
 * What the tree need not have, such as an index that whoever shows it keeps to himself, stays in the tar-split. Whether what
 * it has is the same, only verifying tells.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import type { Digest } from "../../core/digest.ts";
import { hasCode } from "../../core/errors.ts";
import { type LayerPath, parseLayerPath } from "../../core/layer_path.ts";
import type { DiffGetter } from "../../driver/interfaces/diff_driver.ts";
import { loadDriver } from "../../driver/registry.ts";
import { isOsError } from "../../host/errno.ts";
import type { TarEntry } from "../../tar/entry.ts";
import { TarReader } from "../../tar/reader.ts";
import { chunksFrom, stopChunks } from "../chunk_channel.ts";
import { SplitRecorder } from "../split_recorder.ts";
import { StargzIndex } from "../stargz_index.ts";
import { TreeGaps } from "../tree_gaps.ts";
import type { HashedArchive } from "./hash.ts";
import type { VerifyRequest } from "./verify.ts";

/** An archive from a port, and the layer that has its tree. */
export interface SplitRequest extends VerifyRequest {
  readonly input: MessagePort;
}

/** What the archive is. */
export interface SplitArchive extends HashedArchive {
  /** Digest of the table of contents that is its last member, as in an eStargz layer. */
  readonly indexDigest: Digest | undefined;
}

/**
 * Digests and length of the uncompressed archive. Any failure stops the sender.
 * @throws {StrataError} `CORRUPT` when the tree has not what it should have
 */
export async function split({ input, tarSplitPath, driver, stack }: SplitRequest): Promise<SplitArchive> {
  let archiveBytes = 0;
  try {
    await using files = await (await loadDriver(driver)).diffGetter(stack);
    const gaps = new TreeGaps();
    using archive = new SplitRecorder(tarSplitPath, { inTree: (entry) => hasContent(files, entry, gaps) });
    const index = new StargzIndex();
    const readers = [new TarReader(index), new TarReader(gaps)];
    for await (const chunk of chunksFrom(input)) {
      archive.push(chunk);
      for (const reader of readers) reader.push(chunk);
      archiveBytes += chunk.byteLength;
    }
    for (const reader of readers) reader.end();
    gaps.requireNone();
    return { diffId: archive.end().diffId, archiveBytes, indexDigest: index.digest };
  } finally {
    stopChunks(input);
  }
}

function hasContent(files: Pick<DiffGetter, "openRead">, { name, size }: TarEntry, gaps: TreeGaps): boolean {
  const path = parseLayerPath(name);
  const found = sizeOf(files, path) === size;
  if (!found) gaps.note(path);
  return found;
}

/** `undefined` where there is no file. */
function sizeOf(files: Pick<DiffGetter, "openRead">, path: LayerPath): number | undefined {
  try {
    using file = files.openRead(path);
    return file.stat().size;
  } catch (error) {
    if (isOsError(error, "ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO") || hasCode(error, "NOT_FOUND")) {
      return undefined;
    }
    throw error;
  }
}
