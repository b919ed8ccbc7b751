// SPDX-License-Identifier: Apache-2.0
/**
 * What the tar reader tells of an archive, and what the writer takes.
 *
 * @module
 */
import type { ByteString } from "../core/bytes.ts";
import type { Timespec } from "../core/file_stat.ts";

/** What a member of an archive is. `global` is a PAX global header: a member of its own without effect on files. */
export type TarEntryType =
  | "file"
  | "hardlink"
  | "symlink"
  | "char"
  | "block"
  | "dir"
  | "fifo"
  | "global"
  | "unknown";

/** The dialect in which a header is written. */
export type TarFormat = "v7" | "ustar" | "pax" | "gnu" | "star";

/** A piece of a sparse file that has data; what lies between pieces is a hole. Bytes. */
export interface SparseExtent {
  readonly offset: number;
  readonly length: number;
}

/** One member of an archive, everything resolved: PAX over header, GNU long names over PAX. */
export interface TarEntry {
  /** As the archive has it, trailing slashes and `./` kept. */
  readonly name: ByteString;
  readonly type: TarEntryType;
  /** The header's type byte, for messages and for types that {@link TarEntryType} does not name. */
  readonly typeFlag: number;
  /** Target of a hard link or symlink; empty otherwise. */
  readonly linkName: ByteString;
  /** The header's mode field, all bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly uname: ByteString;
  readonly gname: ByteString;
  /** Bytes of the content, holes included; for types without content, whatever the header says. */
  readonly size: number;
  /** Bytes of payload that follow in the archive, padding and a PAX 1.0 sparse map not counted. */
  readonly storedSize: number;
  /**
   * The size field as written, a PAX `size` record over it. It differs from `size` for a sparse member, and for a type
   * without content whose header gives a size all the same (it may then even be negative). 0 for a global header.
   */
  readonly headerSize: number;
  readonly mtime: Timespec;
  readonly atime: Timespec | undefined;
  readonly ctime: Timespec | undefined;
  readonly devMajor: number;
  readonly devMinor: number;
  /** `SCHILY.xattr.*` records: names without that prefix. An empty value is an attribute with an empty value. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array>;
  /** All PAX records, last one of a key; the pairs of a sparse 0.0 map are joined in `GNU.sparse.map`. */
  readonly pax: ReadonlyMap<ByteString, ByteString>;
  /** The pieces that have data, in order, when the member is sparse. */
  readonly sparse: readonly SparseExtent[] | undefined;
  readonly format: TarFormat;
  /** Where the member's main header stands in the archive. Bytes. */
  readonly offset: number;
}

/**
 * Receives an archive as it is read. Every byte of the archive arrives exactly once, in order, in `segment` or in
 * `data`; what `data` brings is the payload of the last `entry`. Chunks are views that are valid during the call only.
 */
export interface TarHandler {
  /** Bytes that are not payload: headers, padding, sparse maps, end marker, what trails behind it. */
  segment(bytes: Uint8Array): void;
  /** A member begins; its header's bytes have all been given to `segment`. */
  entry(entry: TarEntry): void;
  /** Payload as stored in the archive: `storedSize` bytes in all, holes left out. */
  data(bytes: Uint8Array): void;
  /** The member's payload is complete; called for every member, also one without payload. */
  endEntry(): void;
  /** The archive is complete and well formed. */
  end(): void;
}

/** A member to be written. Content follows by `data`, exactly `size` bytes. */
export interface TarMember {
  /** Relative, without `./`; the writer adds the trailing slash of a directory. */
  readonly name: ByteString;
  /** What it is. */
  readonly type: Exclude<TarEntryType, "global" | "unknown">;
  /** Target of a hard link or symlink. */
  readonly linkName?: ByteString;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number;
  /** Owner. */
  readonly uid: number;
  /** Group. */
  readonly gid: number;
  /** Bytes; 0 or absent for types without content. */
  readonly size?: number;
  /** When it was changed. */
  readonly mtime: Timespec;
  /** Device number, for devices. */
  readonly devMajor?: number;
  /** Device number, for devices. */
  readonly devMinor?: number;
  /** Extended attributes, of any namespace. */
  readonly xattrs?: ReadonlyMap<ByteString, Uint8Array>;
}
