// SPDX-License-Identifier: Apache-2.0
/**
 * Writing a member's payload into its file, the holes of a sparse one left as holes.
 *
 * @module
 */
import type { OpenFile } from "../host/open_file.ts";
import type { TarEntry } from "../tar/entry.ts";

/** Takes a payload in pieces. */
export class FileBody {
  readonly file: OpenFile;
  readonly #entry: TarEntry;
  /** Which of the sparse member's pieces the next byte belongs to, and how many of its bytes are written. */
  #extent = 0;
  #written = 0;

  /** Writes to `file`, which is new. It stays the caller's. */
  constructor(file: OpenFile, entry: TarEntry) {
    this.file = file;
    this.#entry = entry;
  }

  /** Takes the next bytes of the payload. */
  write(bytes: Uint8Array): void {
    const { sparse } = this.#entry;
    if (sparse === undefined) return this.file.write(bytes);
    let rest = bytes;
    for (let extent = sparse[this.#extent]; extent !== undefined && rest.length > 0; extent = sparse[this.#extent]) {
      const piece = rest.subarray(0, extent.length - this.#written);
      if (piece.length > 0) this.file.writeAt(piece, extent.offset + this.#written);
      this.#written += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#written < extent.length) return;
      this.#extent++;
      this.#written = 0;
    }
  }

  /** The payload is complete. */
  finish(): void {
    if (this.#entry.sparse !== undefined) this.file.truncate(this.#entry.size);
  }
}
