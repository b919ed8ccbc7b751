// SPDX-License-Identifier: Apache-2.0
/**
 * Splitting an archive in tests, with a map in the place of the unpacked tree.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { assemble } from "../../src/tarsplit/assemble.ts";
import { inlinePayloads } from "../../src/tarsplit/inline.ts";
import { cleanName } from "../../src/tarsplit/names.ts";
import type { FileRecord, SplitRecord } from "../../src/tarsplit/record.ts";
import { Splitter } from "../../src/tarsplit/split.ts";
import type { TarEntry, TarHandler } from "../../src/tar/entry.ts";
import { TarReader } from "../../src/tar/reader.ts";

/** An archive in parts: records, and the contents that the tree has. */
export interface SplitArchive {
  readonly records: readonly SplitRecord[];
  /** The records before lost contents were inlined. */
  readonly firstPass: readonly SplitRecord[];
  /** Contents by cleaned name; the last member of a name wins, as in a tree. */
  readonly tree: ReadonlyMap<string, Uint8Array>;
}

/**
 * Splits an archive that comes in chunks. Contents that a later member of the same name replaced are inlined, as ingest does.
 * @throws {StrataError} as the reader
 */
export function splitArchive(chunks: Iterable<Uint8Array>): SplitArchive {
  const recorder = new Recorder();
  const reader = new TarReader(recorder);
  for (const chunk of chunks) reader.push(chunk);
  reader.end();
  const records = [...inlinePayloads(recorder.records, (at) => recorder.lost.get(at))];
  return { records, firstPass: recorder.records, tree: recorder.tree };
}

/** The archive put together again. */
export function joinArchive(archive: SplitArchive): Uint8Array {
  const contents = {
    open(record: FileRecord) {
      const content = archive.tree.get(cleanName(record.name));
      if (content === undefined) throw new Error(`The tree has no "${record.name}"`);
      return [content.subarray(0, 7), content.subarray(7)];
    },
  };
  return Buffer.concat([...assemble(archive.records, contents)]);
}

/** Cuts bytes at steps that take turns. */
export function* cutInto(bytes: Uint8Array, steps: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const step = steps[turn % steps.length] ?? bytes.length;
    yield bytes.slice(at, at + step);
    at += step;
  }
}

/** Stands where ingest stands: gives every event to the splitter, and unpacks into a map. */
class Recorder implements TarHandler {
  readonly records: SplitRecord[] = [];
  readonly tree = new Map<string, Uint8Array>();
  /** Contents that the map held once, by the position of their record. */
  readonly lost = new Map<number, Uint8Array[]>();
  readonly #splitter = new Splitter((record) => this.records.push(record));
  readonly #positions = new Map<string, number>();
  #name = "";
  #chunks: Uint8Array[] = [];

  segment(bytes: Uint8Array): void {
    this.#splitter.segment(bytes);
  }

  entry(entry: TarEntry): void {
    this.#splitter.entry(entry);
    this.#name = cleanName(entry.name);
    this.#chunks = [];
    const replaced = this.#positions.get(this.#name);
    if (replaced !== undefined) this.lost.set(replaced, [this.tree.get(this.#name)!]);
    this.#positions.delete(this.#name);
    const position = this.#splitter.contentPosition;
    if (position !== undefined) this.#positions.set(this.#name, position);
  }

  data(bytes: Uint8Array): void {
    this.#splitter.data(bytes);
    this.#chunks.push(bytes.slice());
  }

  endEntry(): void {
    this.#splitter.endEntry();
    this.tree.set(this.#name, Buffer.concat(this.#chunks));
  }

  end(): void {
    this.#splitter.end();
  }
}
