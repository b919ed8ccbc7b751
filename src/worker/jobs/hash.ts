// SPDX-License-Identifier: Apache-2.0
/**
 * Reading an archive without unpacking it.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { type DiffId, DigestWriter, parseDiffId } from "../../core/digest.ts";
import { chunksFrom, stopChunks } from "../chunk_channel.ts";

/** An archive from a port. */
export interface HashRequest {
  readonly input: MessagePort;
}

/** What an archive is. */
export interface HashedArchive {
  readonly diffId: DiffId;
  readonly archiveBytes: number;
}

/** Digest and length of the uncompressed archive. Any failure stops the sender. */
export async function hash({ input }: HashRequest): Promise<HashedArchive> {
  const digest = new DigestWriter();
  let archiveBytes = 0;
  try {
    for await (const chunk of chunksFrom(input)) {
      digest.update(chunk);
      archiveBytes += chunk.byteLength;
    }
    return { diffId: parseDiffId(digest.finish()), archiveBytes };
  } finally {
    stopChunks(input);
  }
}
