// SPDX-License-Identifier: Apache-2.0
/**
 * The records of a tar-split file: raw bytes, and references to file contents.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";

/** Bytes of the archive that no file holds. */
export interface SegmentRecord {
  readonly type: "segment";
  readonly payload: Uint8Array;
}

/** A member; its content, when `size` is not 0, is the whole content of the file of that name. */
export interface FileRecord {
  readonly type: "file";
  readonly name: ByteString;
  /** Bytes. */
  readonly size: number;
  /** CRC-64/ISO of the content, 8 bytes, big endian; `undefined` when `size` is 0. */
  readonly crc: Uint8Array | undefined;
}

/** One line of a tar-split file. */
export type SplitRecord = SegmentRecord | FileRecord;
