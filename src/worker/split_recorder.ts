// SPDX-License-Identifier: Apache-2.0
/**
 * The identity of an archive that is written and kept nowhere: its digest and its tar-split.
 *
 * @module
 */
import { gzipMember } from "../compression/gzip.ts";
import { type DiffId, DigestWriter, parseDiffId } from "../core/digest.ts";
import { openForWrite } from "../host/files.ts";
import type { OpenFile } from "../host/open_file.ts";
import { TarReader } from "../tar/reader.ts";
import { SplitWriter } from "../tarsplit/file.ts";
import { Splitter, type SplitterOptions } from "../tarsplit/split.ts";

/** What an archive was found to be. */
export interface RecordedArchive {
  readonly diffId: DiffId;
  /** Bytes of all contents that the tar-split refers to. */
  readonly sizeBytes: number;
}

/** Takes an archive's bytes, and writes its tar-split. */
export class SplitRecorder implements Disposable {
  readonly #digest = new DigestWriter();
  readonly #file: OpenFile;
  readonly #writer: SplitWriter;
  readonly #reader: TarReader;
  #sizeBytes = 0;

  /**
   * @param path the tar-split file; nothing has that name
   * @param options what is known of a tree that is there already
   * @throws {OsError}
   */
  constructor(path: string, options: SplitterOptions = {}) {
    this.#file = openForWrite(path);
    this.#writer = new SplitWriter({ compress: gzipMember, sink: (bytes) => this.#file.write(bytes) });
    this.#reader = new TarReader(
      new Splitter((record) => {
        if (record.type === "file") this.#sizeBytes += record.size;
        this.#writer.write(record);
      }, options),
    );
  }

  /** Takes the next bytes; they are not kept. */
  push(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#reader.push(bytes);
  }

  /** The archive is complete; so is the file. */
  end(): RecordedArchive {
    this.#reader.end();
    this.#writer.end();
    this.#file.sync();
    return { diffId: parseDiffId(this.#digest.finish()), sizeBytes: this.#sizeBytes };
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}
