// SPDX-License-Identifier: Apache-2.0
/**
 * Rebuilding an archive from its tar-split records and the contents of its files, byte for byte.
 *
 * Every content is compared with its record, in size and CRC. A CRC of 64 bits finds damage, not malice: who exports
 * a layer compares the digest of the whole, too.
 *
 * @module
 */
import { checkedContent } from "./content.ts";
import type { FileRecord, SplitRecord } from "./record.ts";

/** Where contents come from. */
export interface ContentSource {
  /** The whole content of a recorded file. A chunk is used before the next one is asked for. */
  open(record: FileRecord): Iterable<Uint8Array>;
}

/**
 * The archive's bytes. Only records with content are opened, in order, one at a time.
 * @throws {StrataError} `CORRUPT` when a content is not the recorded one, as a rule before its last chunk came out
 */
export function* assemble(records: Iterable<SplitRecord>, contents: ContentSource): Generator<Uint8Array> {
  for (const record of records) {
    if (record.type === "segment") yield record.payload;
    else if (record.size > 0) yield* checkedContent(record, contents.open(record));
  }
}
