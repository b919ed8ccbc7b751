// SPDX-License-Identifier: Apache-2.0
/**
 * The digest of an open file.
 *
 * @module
 */
import { type Digest, DigestWriter } from "../../core/digest.ts";
import { CHUNK_BYTES } from "../../core/limits.ts";
import type { OpenFile } from "../../host/open_file.ts";
import type { AbortFlag } from "../abort_flag.ts";

const buffer = new Uint8Array(CHUNK_BYTES);

/**
 * Reads a file to its end, which is left open.
 * @param onChunk takes the content; a chunk is valid during the call only
 * @throws {StrataError} `ABORTED`
 * @throws {OsError}
 */
export function digestFile(
  file: OpenFile,
  { abort, onChunk }: { readonly abort: AbortFlag; readonly onChunk?: (chunk: Uint8Array) => void },
): { readonly digest: Digest; readonly sizeBytes: number } {
  const digest = new DigestWriter();
  for (;;) {
    abort.check();
    const count = file.readAt(buffer, digest.sizeBytes);
    if (count === 0) return { sizeBytes: digest.sizeBytes, digest: digest.finish() };
    const chunk = buffer.subarray(0, count);
    digest.update(chunk);
    onChunk?.(chunk);
  }
}
