// SPDX-License-Identifier: Apache-2.0
/**
 * A saved image's outer archive, indexed in one pass over its headers: bodies are passed over unread, and layers are read
 * later, in place.
 *
 * What a header means is told by `tar/`, as for layers. Members of other types than file, directory and link are ignored,
 * since no document of an image can name them. A name that comes twice cannot be used: readers differ on which one
 * counts.
 *
 * @module
 */
import { type ByteString, fromText } from "../core/bytes.ts";
import { isStrataError, StrataError } from "../core/errors.ts";
import { type LayerPath, parentOf, parseLayerPath } from "../core/layer_path.ts";
import { type Limits, SYMLINKS_MAX } from "../core/limits.ts";
import type { OpenFile } from "../host/open_file.ts";
import type { TarEntry } from "../tar/entry.ts";
import { parseLongName } from "../tar/gnu.ts";
import { parseHeader, type TarHeader } from "../tar/header.ts";
import { BLOCK_BYTES, isZeroBlock, paddingOf, TYPE } from "../tar/layout.ts";
import { parsePax } from "../tar/pax.ts";
import { refuse, refuseBeyond } from "../tar/refuse.ts";
import { type Extensions, resolveEntry } from "../tar/resolve.ts";
import { type FilePart, type ImageFiles, unusable } from "./image_files.ts";

/** Where a member's content lies, or where else to look for it. */
type Member =
  | { readonly kind: "file"; readonly offset: number; readonly length: number }
  | { readonly kind: "link"; readonly target: LayerPath }
  | { readonly kind: "repeated" };

/** The files in an archive. */
export class ArchiveFiles implements ImageFiles {
  readonly shownAs: string;
  readonly #path: string;
  readonly #members: ReadonlyMap<LayerPath, Member>;

  /** Use {@link indexArchive}. */
  constructor(members: ReadonlyMap<LayerPath, Member>, { path, shownAs }: ArchivePlace) {
    this.#members = members;
    this.#path = path;
    this.shownAs = shownAs;
  }

  locate(name: string): FilePart | undefined {
    let at = parseLayerPath(fromText(name));
    for (let hops = 0; hops <= SYMLINKS_MAX; hops++) {
      const member = this.#members.get(at);
      if (member === undefined) return undefined;
      if (member.kind === "repeated") throw unusable(this, name, "the archive has it twice");
      if (member.kind === "file") return { path: this.#path, offset: member.offset, length: member.length };
      at = member.target;
    }
    throw unusable(this, name, "its links run in a circle");
  }
}

/** An archive's file, and what people know it by. */
export interface ArchivePlace {
  readonly path: string;
  readonly shownAs: string;
}

/**
 * Indexes an archive.
 * @throws {StrataError} `INVALID_ARCHIVE` at the stage `source` when it is no tar, damaged or cut short; `LIMIT_EXCEEDED`
 */
export function indexArchive(file: OpenFile, place: ArchivePlace, limits: Limits): ArchiveFiles {
  const indexer = new Indexer(file, limits);
  try {
    return new ArchiveFiles(indexer.run(), place);
  } catch (error) {
    if (!isStrataError(error) || error.code !== "INVALID_ARCHIVE") throw error;
    const notTar = indexer.isEmpty ? "; accepted are docker-archive, OCI archive and OCI layout directory" : "";
    throw new StrataError(
      "INVALID_ARCHIVE",
      `Cannot load image from "${place.shownAs}": ${error.message}${notTar}; fetch or save it again`,
      { ...error.detail, stage: "source" },
      { cause: error },
    );
  }
}

class Indexer {
  readonly #file: OpenFile;
  readonly #limits: Limits;
  readonly #sizeBytes: number;
  readonly #members = new Map<LayerPath, Member>();
  #at = 0;
  #extensions: Extensions = {};
  #extensionsInRow = 0;
  #entries = 0;

  constructor(file: OpenFile, limits: Limits) {
    this.#file = file;
    this.#limits = limits;
    this.#sizeBytes = file.stat().size;
  }

  get isEmpty(): boolean {
    return this.#entries === 0;
  }

  run(): ReadonlyMap<LayerPath, Member> {
    while (this.#at < this.#sizeBytes) {
      const block = this.#take(BLOCK_BYTES, "a header");
      if (isZeroBlock(block)) {
        this.#checkEndMarker();
        break;
      }
      const header = parseHeader(block, this.#at - BLOCK_BYTES);
      if (isExtension(header)) this.#onExtension(header);
      else this.#onMember(header);
    }
    if (this.#entries === 0) refuse("the archive has no member", { offset: this.#at });
    return this.#members;
  }

  /** Readers differ on whether one block of NULs ends an archive. */
  #checkEndMarker(): void {
    if (this.#at + BLOCK_BYTES > this.#sizeBytes || isZeroBlock(this.#take(BLOCK_BYTES, "the end marker"))) return;
    refuse("a single block of NULs is followed by more", { offset: this.#at });
  }

  #onExtension(header: TarHeader): void {
    const { extensionBytesMax, extensionsInRowMax } = this.#limits;
    const place = { offset: header.offset, limits: this.#limits };
    if (header.size < 0) refuse("an extension header's size is negative", place);
    if (header.size > extensionBytesMax) refuseBeyond("extensionBytesMax", place);
    if (++this.#extensionsInRow > extensionsInRowMax) refuseBeyond("extensionsInRowMax", place);
    const body = this.#take(header.size, "an extension header");
    this.#at += paddingOf(header.size);
    if (header.typeFlag === TYPE.gnuLongName) this.#extensions.longName = parseLongName(body);
    else if (header.typeFlag === TYPE.gnuLongLink) this.#extensions.longLink = parseLongName(body);
    else if (header.typeFlag === TYPE.paxNext) this.#extensions.pax = parsePax(body, header);
  }

  #onMember(header: TarHeader): void {
    const entry = resolveEntry(header, this.#extensions, this.#limits);
    this.#extensions = {};
    this.#extensionsInRow = 0;
    const place = { offset: header.offset, entry: entry.name, limits: this.#limits };
    if (++this.#entries > this.#limits.entriesMax) refuseBeyond("entriesMax", place);
    if (isSparse(entry)) refuse("a sparse member; save the image without sparse files", place);
    if (this.#at + entry.storedSize > this.#sizeBytes) {
      refuse(`the archive is cut short: ${this.#at + entry.storedSize - this.#sizeBytes} bytes are missing`, place);
    }
    this.#add(entry);
    this.#at += entry.storedSize + paddingOf(entry.storedSize);
  }

  #add(entry: TarEntry): void {
    const path = parseLayerPath(entry.name, this.#limits);
    const member = this.#memberOf(entry, path);
    if (member !== undefined) this.#members.set(path, this.#members.has(path) ? { kind: "repeated" } : member);
  }

  #memberOf({ type, storedSize, linkName }: TarEntry, path: LayerPath): Member | undefined {
    if (type === "file") return { kind: "file", offset: this.#at, length: storedSize };
    if (type === "hardlink") return { kind: "link", target: parseLayerPath(linkName, this.#limits) };
    if (type !== "symlink") return undefined;
    const from = linkName.startsWith("/") ? "" : `${parentOf(path)}/`;
    return { kind: "link", target: parseLayerPath(from + linkName as ByteString, this.#limits) };
  }

  #take(length: number, what: string): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = this.#file.readAt(bytes.subarray(done), this.#at + done);
      if (count === 0) {
        const why = this.#entries === 0 ? "not a tar archive" : `the archive is cut short inside ${what}`;
        refuse(why, { offset: this.#at + done });
      }
      done += count;
    }
    this.#at += length;
    return bytes;
  }
}

function isExtension({ typeFlag }: TarHeader): boolean {
  return typeFlag === TYPE.paxNext || typeFlag === TYPE.paxGlobal || typeFlag === TYPE.gnuLongName ||
    typeFlag === TYPE.gnuLongLink;
}

/** Offsets in a sparse member are not those of its content. */
function isSparse({ typeFlag, pax }: TarEntry): boolean {
  return typeFlag === TYPE.gnuSparse || [...pax.keys()].some((key) => key.startsWith("GNU.sparse."));
}
