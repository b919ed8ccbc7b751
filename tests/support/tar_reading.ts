// SPDX-License-Identifier: Apache-2.0
/**
 * Reads an archive into a list of events that tests can compare.
 *
 * @module
 */
import type { Limits } from "../../src/core/limits.ts";
import type { TarEntry } from "../../src/tar/entry.ts";
import { TarReader } from "../../src/tar/reader.ts";
import { concat } from "./tar_builder.ts";

/** What the reader told, with adjacent pieces of bytes joined. */
export type TarEvent =
  | { readonly kind: "segment"; readonly bytes: Uint8Array }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | { readonly kind: "entry"; readonly entry: TarEntry }
  | { readonly kind: "endEntry" }
  | { readonly kind: "end" };

/** A member and its payload. */
export interface ReadMember {
  readonly entry: TarEntry;
  readonly payload: Uint8Array;
}

/** What came of reading. */
export interface TarReading {
  readonly events: readonly TarEvent[];
  readonly members: readonly ReadMember[];
  /** What was thrown. */
  readonly error: unknown;
}

/** How to read: the lengths of the chunks (repeated as needed; one chunk when absent), and the limits. */
export interface ReadingOptions {
  readonly chunks?: readonly number[];
  readonly limits?: Partial<Limits>;
}

/** Reads an archive to its end or first error. */
export function readTar(bytes: Uint8Array, { chunks = [], limits = {} }: ReadingOptions = {}): TarReading {
  const log = new EventLog();
  const reader = new TarReader(log, limits);
  try {
    for (const chunk of cut(bytes, chunks)) {
      reader.push(chunk);
      chunk.fill(0xee); // what the reader keeps of a chunk must be a copy
    }
    reader.end();
    return { ...log.result(), error: undefined };
  } catch (error) {
    return { ...log.result(), error };
  }
}

/** The members of an archive that must be well formed. */
export function readMembers(bytes: Uint8Array, options: ReadingOptions = {}): readonly ReadMember[] {
  const { members, error } = readTar(bytes, options);
  if (error !== undefined) throw error;
  return members;
}

/** All bytes that were told. */
export function bytesOf(events: readonly TarEvent[]): Uint8Array {
  return concat(...events.flatMap((event) => event.kind === "segment" || event.kind === "data" ? [event.bytes] : []));
}

class EventLog {
  readonly #events: (TarEvent | { kind: "segment" | "data"; bytes: Uint8Array })[] = [];
  readonly #members: { entry: TarEntry; payload: Uint8Array }[] = [];

  segment(bytes: Uint8Array): void {
    this.#add("segment", bytes);
  }

  data(bytes: Uint8Array): void {
    this.#add("data", bytes);
    const member = this.#members.at(-1);
    if (member !== undefined) member.payload = concat(member.payload, bytes);
  }

  entry(entry: TarEntry): void {
    this.#events.push({ kind: "entry", entry });
    this.#members.push({ entry, payload: new Uint8Array(0) });
  }

  endEntry(): void {
    this.#events.push({ kind: "endEntry" });
  }

  end(): void {
    this.#events.push({ kind: "end" });
  }

  result(): { events: readonly TarEvent[]; members: readonly ReadMember[] } {
    return { events: this.#events, members: this.#members };
  }

  #add(kind: "segment" | "data", bytes: Uint8Array): void {
    const last = this.#events.at(-1);
    if (last?.kind === kind) {
      this.#events[this.#events.length - 1] = { kind, bytes: concat(last.bytes, bytes) };
    } else {
      this.#events.push({ kind, bytes: new Uint8Array(bytes) });
    }
  }
}

function* cut(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths.length === 0 ? bytes.length : Math.max(1, lengths[i % lengths.length] ?? 1);
    yield new Uint8Array(bytes.subarray(at, at + length));
    at += length;
  }
}
