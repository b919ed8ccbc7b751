// SPDX-License-Identifier: Apache-2.0
/**
 * The second pass over the records of an archive, after it was unpacked: contents that the tree turned out not to
 * hold are moved into segments (I6).
 *
 * @module
 */
import { SEGMENT_BYTES_MAX } from "../core/limits.ts";
import { checkedContent } from "./content.ts";
import type { FileRecord, SegmentRecord, SplitRecord } from "./record.ts";

/**
 * The same records, with contents that the tree lost kept in segments: of a file that a later member replaced, or that
 * the file system would not take. `contentOf` is asked for every record with content, by its position, and gives the
 * content of a lost one.
 * @throws {StrataError} `CORRUPT` when what it gives is not the recorded content
 */
export function* inlinePayloads(
  records: Iterable<SplitRecord>,
  contentOf: (position: number, record: FileRecord) => Iterable<Uint8Array> | undefined,
): Generator<SplitRecord> {
  let position = 0;
  for (const record of records) {
    const content = record.type === "file" && record.size > 0 ? contentOf(position, record) : undefined;
    position++;
    if (record.type === "segment" || content === undefined) {
      yield record;
    } else {
      yield { type: "file", name: record.name, size: 0, crc: undefined };
      yield* segmentsOf(checkedContent(record, content));
    }
  }
}

function* segmentsOf(chunks: Iterable<Uint8Array>): Generator<SegmentRecord> {
  for (const chunk of chunks) {
    for (let start = 0; start < chunk.byteLength; start += SEGMENT_BYTES_MAX) {
      yield { type: "segment", payload: chunk.slice(start, start + SEGMENT_BYTES_MAX) };
    }
  }
}
