// SPDX-License-Identifier: Apache-2.0
/**
 * Writing a tar-split file: lines are gathered and compressed in batches, so that no stage waits for the whole.
 *
 * A batch becomes a gzip member of its own. RFC 1952 2.2 lets a file have several, and Go's reader, which Docker and
 * the `tar-split` tool use, takes them as one.
 *
 * @module
 */
import { encodeRecord } from "./codec.ts";
import type { SplitRecord } from "./record.ts";

/** Text of a batch, in characters: enough for gzip's window to matter little, small beside a chunk of the archive. */
const BATCH_LENGTH = 256 * 1024;

/** How a tar-split file is written. */
export interface SplitWriterOptions {
  /** Makes a gzip member of some bytes. */
  readonly compress: (bytes: Uint8Array) => Uint8Array;
  /** Takes the file's bytes, in order. */
  readonly sink: (bytes: Uint8Array) => void;
}

/** Writes records as a tar-split file. */
export class SplitWriter {
  readonly #options: SplitWriterOptions;
  readonly #utf8 = new TextEncoder();
  #batch = "";
  #position = 0;
  #empty = true;

  constructor(options: SplitWriterOptions) {
    this.#options = options;
  }

  /** Takes the next record. */
  write(record: SplitRecord): void {
    this.#batch += encodeRecord(record, this.#position++);
    if (this.#batch.length >= BATCH_LENGTH) this.#flush();
  }

  /** Writes what is left. A file without records is one empty member, for gzip readers refuse an empty file. */
  end(): void {
    if (this.#batch !== "" || this.#empty) this.#flush();
  }

  #flush(): void {
    this.#options.sink(this.#options.compress(this.#utf8.encode(this.#batch)));
    this.#batch = "";
    this.#empty = false;
  }
}
