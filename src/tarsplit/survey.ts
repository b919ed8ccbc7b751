// SPDX-License-Identifier: Apache-2.0
/**
 * What a layer's tar-split alone tells of its archive, without the tree: a record for layers that others registered.
 *
 * All headers are in the segments, so the tar reader sees the real ones, and NULs for the contents that only the tree has.
 *
 * @module
 */
import { isStrataError } from "../core/errors.ts";
import { CHUNK_BYTES } from "../core/limits.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";
import { OwnerIds, type OwnerSets } from "../tar/owner_ids.ts";
import { TarReader } from "../tar/reader.ts";
import type { SplitRecord } from "./record.ts";

/** What is known of an archive that need not be at hand. */
export interface ArchiveFacts extends OwnerSets {
  /** Bytes of the archive. */
  readonly archiveBytes: number;
  /** Members of the archive, global headers too. Absent, like the owners: its headers cannot be read. */
  readonly entryCount?: number;
}

/** Bytes of the archive that the records of a whole tar-split make. */
export function archiveBytesOf(records: Iterable<SplitRecord>): number {
  let bytes = 0;
  for (const record of records) bytes += bytesOf(record);
  return bytes;
}

/** Takes the records of one tar-split, in order. */
export class SplitSurvey {
  #archiveBytes = 0;
  readonly #members = new Members();
  /** Absent once the headers made no archive: putting records together needs none, so others may have recorded such. */
  #reader: TarReader | undefined = new TarReader(this.#members);

  /** Takes the next records. */
  push(records: Iterable<SplitRecord>): void {
    for (const record of records) {
      this.#archiveBytes += bytesOf(record);
      this.#read(record);
    }
  }

  /** Ends the archive. */
  finish(): ArchiveFacts {
    const archiveBytes = this.#archiveBytes;
    this.#guarded((reader) => reader.end());
    if (this.#reader === undefined) return { archiveBytes };
    return { archiveBytes, entryCount: this.#members.count, ...this.#members.owners.sets() };
  }

  #read(record: SplitRecord): void {
    if (record.type === "segment") return this.#guarded((reader) => reader.push(record.payload));
    // A content that is not its member's whole payload holds headers, which nobody has here.
    if (record.size > 0 && record.size !== this.#members.payloadDue) this.#reader = undefined;
    this.#guarded((reader) => pushNuls(reader, record.size));
  }

  #guarded(act: (reader: TarReader) => void): void {
    if (this.#reader === undefined) return;
    try {
      act(this.#reader);
    } catch (error) {
      if (!isStrataError(error)) throw error;
      this.#reader = undefined;
    }
  }
}

class Members implements TarHandler {
  count = 0;
  /** Bytes of the last member's payload that have not come yet. */
  payloadDue = 0;
  readonly owners = new OwnerIds();

  segment(): void {}

  entry(entry: TarEntry): void {
    this.count++;
    this.payloadDue = entry.storedSize;
    this.owners.add(entry);
  }

  data(bytes: Uint8Array): void {
    this.payloadDue -= bytes.length;
  }

  endEntry(): void {}

  end(): void {}
}

const NULS = new Uint8Array(CHUNK_BYTES);

function pushNuls(reader: TarReader, length: number): void {
  for (let left = length; left > 0; left -= NULS.length) reader.push(NULS.subarray(0, left));
}

function bytesOf(record: SplitRecord): number {
  return record.type === "segment" ? record.payload.length : record.size;
}
