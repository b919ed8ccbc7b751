// SPDX-License-Identifier: Apache-2.0
/**
 * Reading a layer's tar-split file.
 *
 * @module
 */
import { type Compression, detectCompression, HEAD_BYTES } from "../compression/detect.ts";
import { gunzipChunks } from "../compression/gzip.ts";
import { openRegular } from "../host/files.ts";
import { readChunks } from "../host/read_chunks.ts";
import { decodeRecords, RecordDecoder } from "../tarsplit/codec.ts";
import type { SplitRecord } from "../tarsplit/record.ts";
import { type ArchiveFacts, SplitSurvey } from "../tarsplit/survey.ts";

/**
 * The records in batches, as they are decompressed: memory does not grow with the file.
 * @throws {StrataError} `CORRUPT` or `INVALID_ARCHIVE` when the file is damaged
 */
export async function* tarSplitBatches(path: string): AsyncGenerator<Iterable<SplitRecord>> {
  const decoder = new RecordDecoder({ path });
  for await (const chunk of gunzipChunks(readChunks(openRegular(path)))) yield decoder.push(chunk);
  decoder.end();
}

/**
 * As {@link tarSplitBatches}, of a file that may as well be without compression.
 * @throws {StrataError} as {@link tarSplitBatches}
 */
export async function* anyTarSplitBatches(path: string): AsyncGenerator<Iterable<SplitRecord>> {
  if (compressionOf(path) === "gzip") return yield* tarSplitBatches(path);
  const decoder = new RecordDecoder({ path });
  for (const chunk of readChunks(openRegular(path))) yield decoder.push(chunk);
  decoder.end();
}

function compressionOf(path: string): Compression {
  using file = openRegular(path);
  const head = new Uint8Array(HEAD_BYTES);
  return detectCompression(head.subarray(0, file.readAt(head, 0)));
}

/**
 * What the file tells of its archive, without the tree.
 * @throws {StrataError} `CORRUPT` or `INVALID_ARCHIVE` when the file is damaged
 */
export async function surveyTarSplit(path: string): Promise<ArchiveFacts> {
  const survey = new SplitSurvey();
  for await (const batch of tarSplitBatches(path)) survey.push(batch);
  return survey.finish();
}

/**
 * All records, decoded one by one from the decompressed file, which is held in memory.
 * @throws {StrataError} `CORRUPT` or `INVALID_ARCHIVE` when the file is damaged
 */
export async function readTarSplit(path: string): Promise<Iterable<SplitRecord>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of gunzipChunks(readChunks(openRegular(path)))) chunks.push(chunk.slice());
  return decodeRecords(chunks, { path });
}
