// SPDX-License-Identifier: Apache-2.0
/**
 * Reads an archive that is pushed to it piece by piece, and loses no byte of it.
 *
 *   header → [extension → padding → header]* → [sparse map] → entry → payload → endEntry → padding → header → …
 *   block of NULs → second block of NULs → whatever trails
 *
 * Every byte goes to the handler exactly once, in order, as a view of the caller's chunk (I6 rests on this). Only a
 * header, extension or map that straddles two chunks is copied, for parsing.
 *
 * What is accepted is what Go's archive/tar accepts, which Docker and tar-split read with: an archive may end at any
 * block boundary without its end marker, and inside padding; one block of NULs ends it only if nothing else follows;
 * types 1 to 6 have no payload whatever their size field says; a global header is a member that changes no other.
 * Beyond that, archives in which well-known readers would see different members are refused.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import { StrataError } from "../core/errors.ts";
import { DEFAULT_LIMITS, type Limits } from "../core/limits.ts";
import type { TarEntry, TarHandler } from "./entry.ts";
import { Gather } from "./gather.ts";
import { parseLongName } from "./gnu.ts";
import { parseHeader, type TarHeader } from "./header.ts";
import { BLOCK_BYTES, isZeroBlock, paddingOf, TYPE } from "./layout.ts";
import { parsePax } from "./pax.ts";
import { refuse, refuseBeyond } from "./refuse.ts";
import { type Extensions, globalEntry, resolveEntry } from "./resolve.ts";
import { type SparseMapReader, startSparse } from "./sparse_map.ts";

/** What the next bytes are. The first four are gathered before they are looked at, the others pass. */
type State = "header" | "end marker" | "extension" | "sparse map" | "payload" | "padding" | "trailing bytes";

/** A push parser for tar archives: any pieces, in order, then `end`. */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #limits: Limits;
  readonly #gather = new Gather();
  #state: State = "header";
  #offset = 0;
  /** Bytes left of the payload or padding. */
  #remaining = 0;
  #trailingBytes = 0;
  #entries = 0;
  #unpackedBytes = 0;
  /** What is said about the next member, and in how many extension headers. */
  #extensions: Extensions = {};
  #extensionsInRow = 0;
  /** The extension header whose body is due. */
  #extension: TarHeader | undefined;
  #sparseMap: SparseMapReader | undefined;
  /** The member whose payload is due. */
  #entry: TarEntry | undefined;
  #closed: { readonly cause: unknown } | undefined;

  /** Makes a reader that tells the handler. `limits` are those that differ from the defaults. */
  constructor(handler: TarHandler, limits: Partial<Limits> = {}) {
    this.#handler = handler;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#gather.expect(BLOCK_BYTES);
  }

  /** Bytes taken so far: inside a handler's call, those up to and with the bytes that the call is about. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Takes the next bytes; they are not kept. After a throw the reader throws the same at every call.
   * @throws {StrataError} `INVALID_ARCHIVE` or `LIMIT_EXCEEDED`; and what the handler throws
   */
  push(chunk: Uint8Array): void {
    this.#run(() => {
      for (let at = 0; at < chunk.length;) at += this.#step(chunk, at);
    });
  }

  /**
   * Says that the archive is complete.
   * @throws {StrataError} `INVALID_ARCHIVE` when it stops where it must not; and what the handler throws
   */
  end(): void {
    this.#run(() => {
      this.#checkEnd();
      this.#handler.end();
    });
    this.#closed = {
      cause: new StrataError("INVALID_ARGUMENT", "Cannot read tar: the reader has ended; make a new one", {
        argument: "chunk",
      }),
    };
  }

  /** After a failure the position in the archive means nothing any more, so nothing further is read from it. */
  #run(action: () => void): void {
    if (this.#closed !== undefined) throw this.#closed.cause;
    try {
      action();
    } catch (cause) {
      this.#closed = { cause };
      throw cause;
    }
  }

  /** Handles some of the bytes from `at` on, and says how many. */
  #step(chunk: Uint8Array, at: number): number {
    switch (this.#state) {
      case "payload":
        return this.#passPayload(chunk.subarray(at, at + this.#remaining));
      case "padding":
        return this.#passPadding(chunk.subarray(at, at + this.#remaining));
      case "trailing bytes":
        return this.#passTrailing(chunk.subarray(at));
      default:
        return this.#gatherBlock(chunk.subarray(at, at + this.#gather.missing));
    }
  }

  #passPayload(piece: Uint8Array): number {
    this.#offset += piece.length;
    this.#remaining -= piece.length;
    this.#handler.data(piece);
    if (this.#remaining === 0) this.#finishEntry();
    return piece.length;
  }

  #passPadding(piece: Uint8Array): number {
    this.#remaining -= piece.length;
    this.#segment(piece);
    if (this.#remaining === 0) this.#expectBlock("header");
    return piece.length;
  }

  #passTrailing(piece: Uint8Array): number {
    this.#trailingBytes += piece.length;
    if (this.#trailingBytes > this.#limits.trailingBytesMax) this.#refuseBeyond("trailingBytesMax");
    this.#segment(piece);
    return piece.length;
  }

  #gatherBlock(piece: Uint8Array): number {
    this.#segment(piece);
    const bytes = this.#gather.add(piece);
    if (bytes !== undefined) this.#onGathered(bytes);
    return piece.length;
  }

  #segment(piece: Uint8Array): void {
    this.#offset += piece.length;
    this.#handler.segment(piece);
  }

  #onGathered(bytes: Uint8Array): void {
    if (this.#state === "header") this.#onHeader(bytes);
    else if (this.#state === "extension") this.#onExtension(bytes);
    else if (this.#state === "sparse map") this.#onSparseMap(bytes);
    else this.#onEndMarker(bytes);
  }

  #onHeader(block: Uint8Array): void {
    if (block[0] === 0 && isZeroBlock(block)) return this.#expectBlock("end marker");
    const header = parseHeader(block, this.#offset - BLOCK_BYTES);
    switch (header.typeFlag) {
      case TYPE.paxNext:
      case TYPE.paxGlobal:
      case TYPE.gnuLongName:
      case TYPE.gnuLongLink:
        return this.#beginExtension(header);
      default:
        return this.#onMember(header, block);
    }
  }

  #onEndMarker(block: Uint8Array): void {
    if (!isZeroBlock(block)) {
      this.#refuse("a single block of NULs is followed by another header; readers differ on where the archive ends");
    }
    this.#state = "trailing bytes";
  }

  #beginExtension(header: TarHeader): void {
    if (header.size < 0) this.#refuse("an extension header's size is negative");
    if (header.size > this.#limits.extensionBytesMax) this.#refuseBeyond("extensionBytesMax");
    if (++this.#extensionsInRow > this.#limits.extensionsInRowMax) this.#refuseBeyond("extensionsInRowMax");
    this.#extension = header;
    this.#state = "extension";
    this.#gather.expect(header.size);
    if (header.size === 0) this.#onExtension(NO_BYTES);
  }

  #onExtension(body: Uint8Array): void {
    const header = this.#extension!;
    this.#extension = undefined;
    if (header.typeFlag === TYPE.gnuLongName) this.#extensions.longName = parseLongName(body);
    else if (header.typeFlag === TYPE.gnuLongLink) this.#extensions.longLink = parseLongName(body);
    else if (header.typeFlag === TYPE.paxNext) this.#extensions.pax = parsePax(body, header);
    else this.#onGlobal(header, body);
    this.#expectPadding(header.size);
  }

  #onGlobal(header: TarHeader, body: Uint8Array): void {
    if (this.#extensionsInRow > 1) {
      this.#refuse("a global header stands between an extension header and its member; readers differ on the latter");
    }
    this.#extensionsInRow = 0;
    const entry = globalEntry(header, parsePax(body, header));
    this.#count(entry);
    this.#handler.entry(entry);
    this.#handler.endEntry();
  }

  #onMember(header: TarHeader, block: Uint8Array): void {
    const entry = resolveEntry(header, this.#extensions, this.#limits);
    if (this.#extensionsInRow > 0) {
      this.#extensions = {};
      this.#extensionsInRow = 0;
    } else if (header.typeFlag !== TYPE.gnuSparse) {
      return this.#beginEntry(entry);
    }
    const start = startSparse(entry, { header, block, limits: this.#limits });
    if ("entry" in start) return this.#beginEntry(start.entry);
    this.#sparseMap = start.map;
    this.#expectBlock("sparse map");
  }

  #onSparseMap(block: Uint8Array): void {
    const entry = this.#sparseMap!.push(block);
    if (entry === undefined) return this.#expectBlock("sparse map");
    this.#sparseMap = undefined;
    this.#beginEntry(entry);
  }

  #beginEntry(entry: TarEntry): void {
    this.#count(entry);
    this.#entry = entry;
    this.#state = "payload";
    this.#remaining = entry.storedSize;
    this.#handler.entry(entry);
    if (entry.storedSize === 0) this.#finishEntry();
  }

  #finishEntry(): void {
    const { storedSize } = this.#entry!;
    this.#entry = undefined;
    this.#handler.endEntry();
    this.#expectPadding(storedSize);
  }

  #count(entry: TarEntry): void {
    this.#unpackedBytes += entry.size;
    if (++this.#entries > this.#limits.entriesMax) this.#refuseBeyond("entriesMax", entry.name);
    if (this.#unpackedBytes > this.#limits.unpackedBytesMax) this.#refuseBeyond("unpackedBytesMax", entry.name);
  }

  #expectBlock(state: "header" | "end marker" | "sparse map"): void {
    this.#state = state;
    this.#gather.expect(BLOCK_BYTES);
  }

  #expectPadding(sizeBytes: number): void {
    this.#remaining = paddingOf(sizeBytes);
    if (this.#remaining === 0) this.#expectBlock("header");
    else this.#state = "padding";
  }

  #checkEnd(): void {
    switch (this.#state) {
      case "padding":
      case "trailing bytes":
        return;
      case "header":
      case "end marker":
        if (this.#gather.held === 0) return;
        if (this.#offset < BLOCK_BYTES) this.#refuse("not a tar archive: no valid header at offset 0");
    }
    this.#refuse(`the archive ends inside the ${this.#state}`, this.#entry?.name);
  }

  #refuse(why: string, entry?: ByteString): never {
    refuse(why, { offset: this.#offset, ...(entry === undefined ? {} : { entry }) });
  }

  #refuseBeyond(limit: keyof Limits, entry?: ByteString): never {
    refuseBeyond(limit, { offset: this.#offset, limits: this.#limits, ...(entry === undefined ? {} : { entry }) });
  }
}

const NO_BYTES = new Uint8Array(0);
