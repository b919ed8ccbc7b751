// SPDX-License-Identifier: Apache-2.0
/**
 * Splitting an archive: everything of it but the contents that the unpacked tree can give back.
 *
 *   [padding of the last member, extension headers, header]   a segment
 *   content of a regular file                                  a file record with its CRC
 *   content of anything else                                   a file record of size 0, then segments
 *   a member whose name came before                            segments only
 *   end marker and what trails behind it                       segments
 *
 * For archives that tar-split can rebuild the records are those of tar-split 0.12. For the others they are not, so
 * that they can be rebuilt as well (I6): by this package, by Docker and by the `tar-split` tool alike.
 *
 * @module
 */
import { SEGMENT_BYTES_MAX, SPLIT_HEADER_BYTES_MAX } from "../core/limits.ts";
import type { TarEntry, TarHandler } from "../tar/entry.ts";
import { ByteBuffer } from "./byte_buffer.ts";
import { Crc64 } from "./crc64.ts";
import { cleanName } from "./names.ts";
import type { SplitRecord } from "./record.ts";

/** What is known of the tree beforehand. */
export interface SplitterOptions {
  /** Whether the tree has a member's payload. Absent: it will be unpacked, so it has whatever a tree can have. */
  readonly inTree?: (entry: TarEntry) => boolean;
}

/** Makes records from an archive that is being read. The records own their bytes. */
export class Splitter implements TarHandler {
  readonly #sink: (record: SplitRecord) => void;
  readonly #inTree: (entry: TarEntry) => boolean;
  readonly #names = new Set<string>();
  /** Bytes that go into the next segment. */
  readonly #raw = new ByteBuffer();
  #emitted = 0;
  /** The member whose content is left to the tree, and the CRC of what came of it. */
  #content: { readonly entry: TarEntry; readonly crc: Crc64 } | undefined;

  constructor(sink: (record: SplitRecord) => void, { inTree = () => true }: SplitterOptions = {}) {
    this.#sink = sink;
    this.#inTree = inTree;
  }

  /**
   * Between `entry` and `endEntry`: the position of the record whose content the tree must give back, for
   * `inlinePayloads`; `undefined` when the member has no content, or it is kept here.
   */
  get contentPosition(): number | undefined {
    return this.#content === undefined ? undefined : this.#emitted;
  }

  /** Takes bytes that are not payload. */
  segment(bytes: Uint8Array): void {
    this.#raw.append(bytes);
    // No header is that long, so these are bytes that trail behind the end marker.
    if (this.#raw.length > SPLIT_HEADER_BYTES_MAX) this.#flushPieces();
  }

  /** Begins a member. All of its header stays in one segment: readers that look for headers count on it. */
  entry(entry: TarEntry): void {
    this.#flush(this.#raw.length);
    const name = cleanName(entry.name);
    if (this.#names.has(name)) return;
    this.#names.add(name);
    if (canBeInTree(entry, name) && this.#inTree(entry)) this.#content = { entry, crc: new Crc64() };
    else this.#emit({ type: "file", name: entry.name, size: 0, crc: undefined });
  }

  /** Takes payload. */
  data(bytes: Uint8Array): void {
    if (this.#content !== undefined) {
      this.#content.crc.update(bytes);
      return;
    }
    this.#raw.append(bytes);
    while (this.#raw.length >= SEGMENT_BYTES_MAX) this.#flush(SEGMENT_BYTES_MAX);
  }

  /** Ends a member. */
  endEntry(): void {
    if (this.#content === undefined) {
      this.#flushPieces();
      return;
    }
    const { entry, crc } = this.#content;
    this.#content = undefined;
    this.#emit({ type: "file", name: entry.name, size: entry.size, crc: crc.finish() });
  }

  /** Ends the archive. */
  end(): void {
    this.#flushPieces();
  }

  #flushPieces(): void {
    const raw = this.#raw.view();
    for (let start = 0; start < raw.length; start += SEGMENT_BYTES_MAX) {
      this.#emit({ type: "segment", payload: raw.slice(start, start + SEGMENT_BYTES_MAX) });
    }
    this.#raw.drop(raw.length);
  }

  #flush(length: number): void {
    if (length === 0) return;
    const payload = this.#raw.view().slice(0, length);
    this.#raw.drop(length);
    this.#emit({ type: "segment", payload });
  }

  #emit(record: SplitRecord): void {
    this.#emitted++;
    this.#sink(record);
  }
}

/** Names of whiteouts and of AUFS's own files, which are no files of a tree. The tree's root is none either. */
const NO_FILE = /^[./]$|(^|\/)\.wh\./;

/** Whether the unpacked tree can give the payload back. A sparse file would give its holes, too. */
function canBeInTree(entry: TarEntry, name: string): boolean {
  return entry.type === "file" && entry.size > 0 && entry.sparse === undefined && !NO_FILE.test(name);
}
